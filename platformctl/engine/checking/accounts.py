"""Judges users and groups: what of a host's own stands in the way of the site's, on all hosts at once.

Numbers of system users must agree too: Slurm's daemons trust each other by the number of their user.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import record
from platformctl.site.role_defaults import default

Survey = Mapping[str, Any]


TAKEOVER = "takeover"
_TO_ACCEPT = (
    "let users_accounts and users_groups say what the host has, or accept it: --yes {name}, or {name} in the"
    " list takeover of the inventory (then its state is recorded, and `reset` brings it back)"
)
_ACCEPTED = f"accepted: its state is recorded in {record.FOLDER}/before; `reset` brings it back"


@dataclass(frozen=True)
class SystemUser:
    """A user whom a package makes, and whose number must be the same on all hosts of these groups.

    number: uid and gid that the package takes if the user is not there.
    """

    name: str
    number: int
    groups: frozenset[str]


# Where the host keeps what was there before, and what platformctl made.
RECORD = f"{record.FOLDER}/before/accounts.json"
SYSTEM_USERS = (
    SystemUser(
        "slurm",
        64030,
        frozenset({"slurm_accounting", "slurm_controller", "slurm_node", "slurm_rest"}),
    ),
)


def question(host: Host) -> dict[str, Any]:
    """The arguments of the survey on a host: the site's users, and whose numbers to tell."""

    def value(name: str, kind: type) -> Any:
        found = host.variables.get(name)
        return default(name, kind) if found is None else found

    return {
        "accounts": value("users_accounts", list),
        "groups": value("users_groups", list),
        "home": value("shared_home_path", str),
        "shell": value("users_shell", str),
        "operator": host.connection.user,
        "numbers": [user.name for user in SYSTEM_USERS],
        "asked_uids": [user.number for user in SYSTEM_USERS],
        "record": RECORD,
    }


def judge(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """What stands in the way on each host, and what an operator may accept."""
    asked = {subject.name: subject for subject in subjects if subject.probe.get("accounts")}
    surveys: dict[str, Survey] = {host: subject.probe["accounts"] for host, subject in asked.items()}
    for host, survey in surveys.items():
        for words in survey["conflicts"]:
            remedy = "give the account of the host, or the site's, another number, name or setting"
            yield Finding(host, "accounts", Level.ERROR, words, remedy)
        for name, changes in survey["changes"].items():
            accepted = name in asked[host].accepted
            level = Level.WARNING if accepted else Level.ERROR
            remedy = _ACCEPTED if accepted else _TO_ACCEPT.format(name=name)
            yield Finding(host, TAKEOVER, level, f"{name}: {'; '.join(changes)}", remedy, (name,))
    for user in SYSTEM_USERS:
        members = [host for host in surveys if asked[host].groups & user.groups]
        yield from _numbers(user, members, surveys)


def _numbers(user: SystemUser, hosts: Sequence[str], surveys: Mapping[str, Survey]) -> Iterator[Finding]:
    """The hosts where a system user has another number than on most, or will get one."""
    there = {host: surveys[host]["numbers"][user.name] for host in hosts}
    numbers = {host: pair[0] if pair else user.number for host, pair in there.items()}
    for host in hosts:
        holders = [name for name in surveys[host]["taken"].get(str(user.number), ()) if name != user.name]
        if holders and not there[host]:
            found = (
                f"uid {user.number}, which the package of {user.name} takes, belongs to {', '.join(holders)}"
            )
            yield Finding(host, "system users", Level.ERROR, found, "give that account another number")
    if len(set(numbers.values())) < 2:
        return
    right = Counter(numbers.values()).most_common(1)[0][0]
    example = next(host for host in hosts if numbers[host] == right)
    for host in (host for host in hosts if numbers[host] != right):
        found, remedy = _difference(user, there[host], numbers[host], right)
        yield Finding(host, "system users", Level.ERROR, f"{found}, but {right} on {example}", remedy)


def _difference(user: SystemUser, there: object, number: int, right: int) -> tuple[str, str]:
    name = user.name
    if there:
        return (
            f"{name} has the uid {number}",
            f"stop what runs as {name} there, then: usermod --uid {right} {name}"
            f" && groupmod --gid {right} {name}"
            f" && find / -xdev -uid {number} -exec chown --no-dereference {name}: {{}} +",
        )
    return (
        f"{name} would get the uid {number} from its package",
        f"make it first: groupadd --system --gid {right} {name} && useradd --system --uid {right}"
        f" --gid {name} --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {name}",
    )


def of_slurm(fleet: Fleet, names: Sequence[str]) -> tuple[str, ...]:
    """A host to ask for its numbers beside `names`, so that a new host is compared with an installed one."""
    found = []
    for user in SYSTEM_USERS:
        members = [host for host in fleet.hosts if fleet.hosts[host].groups & user.groups]
        if set(members) & set(names) and not fleet.foreign_cluster:
            found += [host for host in members if host not in names][:1]
    return tuple(dict.fromkeys(found))
