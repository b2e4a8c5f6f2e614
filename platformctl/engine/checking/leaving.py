"""Users who leave the site: who they are, on which hosts, and what of theirs still runs.

Hosts, Slurm's controller and the cluster each keep the names of those they were given. Whoever of them is no
longer in the inventory leaves. All are asked before the first change, since a user is removed on all hosts or
on none.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platformctl.engine import loading, remote
from platformctl.engine.checking.accounts import Survey
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import record
from platformctl.engine.releases import NAMESPACE
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import accounts
from platformctl.site.role_defaults import default
from platformctl.vocabulary import FINAL, GROUP, SUBMITTER, USERS_TABLE

END = "end"
_SECONDS = 20
_KNOWN, _ACTIVE = "known", "active"
_RECORD = f"{record.FOLDER}/before/associations.json"
_SLURM = f"""
[ -f {_RECORD} ] && tr -d '[]",' < {_RECORD} | tr ' ' '\\n' | sed -n 's/^./{_KNOWN} &/p'
command -v squeue >/dev/null || exit 0
jobs=$(squeue --noheader --states=PD,R,S,CG --format=%u) || exit 1
[ -z "$jobs" ] || echo "$jobs" | sed 's/^/{_ACTIVE} /'
"""
_COLUMNS = (
    "NAMESPACE:.metadata.namespace,NAME:.metadata.name,PHASE:.status.phase,"
    f"USER:.metadata.annotations.{SUBMITTER.replace('.', chr(92) + '.')}"
)
# One line for each Job: namespace, name, phase, user.
JOBS = f"kubectl get jobs.{GROUP} --all-namespaces --no-headers --output custom-columns='{_COLUMNS}'"
# For awk.
ACTIVE_JOB = f"$3 !~ /^({'|'.join(sorted(FINAL))})$/"
# A cluster without the router's chart has no users and no Jobs.
USERS = f"""
names=$(kubectl get configmap {USERS_TABLE} --namespace {NAMESPACE} --ignore-not-found \\
  --output go-template='{{{{range $name, $ids := .data}}}}{{{{$name}}}}{{{{"\\n"}}}}{{{{end}}}}') || exit 1
[ -n "$names" ] || exit 0
"""
_CLUSTER = f"""{USERS}
echo "$names" | sed 's/^/{_KNOWN} /'
jobs=$({JOBS}) || exit 1
[ -z "$jobs" ] || echo "$jobs" | awk '{ACTIVE_JOB} {{print "{_ACTIVE} " $4}}'
"""


@dataclass(frozen=True)
class Departure:
    """A user who leaves. hosts: where the account is. work: what still runs, in words."""

    name: str
    hosts: tuple[str, ...]
    work: tuple[str, ...]

    @property
    def words(self) -> str:
        """For people: who leaves which hosts, and what runs."""
        where = f" ({', '.join(self.hosts)})" if self.hosts else ""
        return f"{self.name} leaves the site{where}: {'; '.join(self.work) or 'nothing of theirs runs'}"


@dataclass(frozen=True)
class Departures:
    """All who leave. unknown: what could not be asked, by host or service, and why."""

    users: tuple[Departure, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(user.name for user in self.users)

    @property
    def busy(self) -> bool:
        """Whether something of theirs runs."""
        return any(user.work for user in self.users)


@dataclass(frozen=True)
class Said:
    """What one of the schedulers said: the users it was given, and the number of their active jobs."""

    known: frozenset[str] = frozenset()
    active: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""


async def departures(fleet: Fleet, surveys: Mapping[str, Survey]) -> Departures:
    """Who leaves. surveys: of the accounts on hosts."""
    present = set(accounts.names(loading.evaluated(fleet).variables))
    slurm, cluster = await said(fleet)
    on_hosts = {name for survey in surveys.values() for name in survey["leaving"]}
    names = sorted((on_hosts | slurm.known | cluster.known) - present)
    unknown = {"Slurm": slurm.failure, "Kubernetes": cluster.failure}
    return Departures(
        tuple(_departure(name, surveys, slurm, cluster) for name in names),
        {service: failure for service, failure in unknown.items() if failure},
    )


async def said(fleet: Fleet) -> tuple[Said, Said]:
    """What Slurm's first controller and the cluster say; nothing of one that the site does not have."""
    return await asyncio.gather(_slurm(fleet), _cluster(fleet))


def _departure(name: str, surveys: Mapping[str, Survey], slurm: Said, cluster: Said) -> Departure:
    work = []
    if slurm.active.get(name):
        work.append(f"{slurm.active[name]} in Slurm's queue")
    if cluster.active.get(name):
        work.append(f"{cluster.active[name]} active Jobs of the platform")
    hosts = tuple(host for host, survey in surveys.items() if name in survey["leaving"])
    for host in hosts:
        running = surveys[host]["busy"].get(name, ())
        if running:
            more = f" and {len(running) - 3} more" if len(running) > 3 else ""
            work.append(f"processes on {host}: {', '.join(running[:3])}{more}")
    return Departure(name, hosts, tuple(work))


async def _slurm(fleet: Fleet) -> Said:
    host = fleet.first("slurm_controller")
    return _said(await remote.run(host.connection, _SLURM, seconds=_SECONDS)) if host else Said()


async def _cluster(fleet: Fleet) -> Said:
    try:
        async with access.kubectl(fleet) as kubectl:
            if kubectl is None:
                return Said()
            script = f"{kubectl.function(_SECONDS)}\n{_CLUSTER}"
            if not fleet.foreign_cluster:
                script = f"[ -f {access.ADMIN} ] || exit 0\n{script}"
            return _said(await remote.run(kubectl.connection, script, seconds=2 * _SECONDS))
    except PlatformError as error:
        return Said(failure=error.what)


def _said(reply: remote.Reply) -> Said:
    rows = [line.split() for line in reply.out.splitlines()]
    pairs = [(row[0], row[1]) for row in rows if len(row) == 2]
    return Said(
        frozenset(name for kind, name in pairs if kind == _KNOWN),
        Counter(name for kind, name in pairs if kind == _ACTIVE),
        reply.message if reply.code != 0 else "",
    )


def policy(variables: Mapping[str, Any]) -> str:
    """What the inventory says about running work of users who leave."""
    return str(variables.get("users_leaving") or default("users_leaving", str))


def refusal(
    fleet: Fleet, leaving: Departures, outside: Sequence[str], down: Mapping[str, str], end: bool
) -> PlatformError | None:
    """Why these users cannot leave now; None if they can.

    outside: hosts that this run leaves out. down: hosts that do not answer, and why. end: whether work of
    these users may be ended, and hosts that do not answer may follow later.
    """
    if not leaving.users:
        return None
    names = ", ".join(leaving.names)
    if outside:
        return PlatformError(
            f"users are removed from all hosts or from none, and this run leaves out {', '.join(outside)}",
            next=f"platformctl install -i {fleet.inventory}; or put {names} back into users_accounts",
            code=ExitCode.REFUSED,
            details=[user.words for user in leaving.users],
        )
    unknown = [f"{host} {why}" for host, why in down.items()]
    unknown += [f"{service} does not say what they run: {why}" for service, why in leaving.unknown.items()]
    if end or not (leaving.busy or unknown):
        return None
    return PlatformError(
        f"users leave the site while something of theirs runs, so nothing was done: {names}"
        if leaving.busy
        else f"whether something of users who leave still runs is not known, so nothing was done: {names}",
        next="wait until nothing of theirs runs; or end it: users_leaving: end in the inventory, or the same"
        " command with --yes; or, to take their access now and let their work finish, put them back into "
        f"users_accounts and: platformctl user disable -i {fleet.inventory} {' '.join(leaving.names)}",
        code=ExitCode.REFUSED,
        details=[*(user.words for user in leaving.users), *unknown],
    )
