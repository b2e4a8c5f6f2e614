"""Asks the services that the steps of a plan need, before the first of them changes a host.

A service is asked if it is installed and the plan does not touch it: a stage that the plan runs brings its
own service up. Otherwise a user would get a Linux account before the run fails at a database that is away.
"""

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning.plan import Plan
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import Stage
from platformctl.errors import PlatformError

_SECONDS = 15
# Between questions to one that does not answer: hosts that have just booted need this long.
_PAUSES = (5, 10, 0)
_API = "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s get --raw /readyz"
# sacctmgr asks slurmdbd, and slurmdbd its database. A host with slurmdbd alone has no sacctmgr.
_DATABASE = "sacctmgr --readonly --noheader --parsable2 list clusters format=cluster"
_ACTIVE = """
for unit in {units}; do
  systemctl is-active --quiet $unit || {{ echo $unit does not run >&2; exit 1; }}
done
"""


@dataclass(frozen=True)
class Question:
    """How a service is asked: on hosts of a group where a stage is applied, by a command that succeeds."""

    service: str
    script: str
    group: str
    stage: str


QUESTIONS: Mapping[str, Question] = {
    "registry": Question("registry", _ACTIVE.format(units="docker-registry"), "registry", "registry"),
    "kubernetes_control_plane": Question(
        "Kubernetes API", _API, "kubernetes_control_plane", "kubernetes_control_plane"
    ),
    "slurm_accounting": Question("slurmdbd", _DATABASE, "slurm_controller", "slurm_controller"),
    "slurm_controller": Question(
        "slurmctld", "scontrol ping | grep -q 'is UP'", "slurm_controller", "slurm_controller"
    ),
    "slurm_rest": Question(
        "slurmrestd", _ACTIVE.format(units="slurmrestd slurm-rest-tls"), "slurm_rest", "slurm_rest"
    ),
}


GROUPS = frozenset(question.group for question in QUESTIONS.values())
"""The groups whose hosts are asked, so that their records must be known."""


@dataclass(frozen=True)
class Away:
    """A service that does not answer: the stage that brings it up, where it was asked, and what was said."""

    stage: str
    service: str
    host: str
    words: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.service} on {self.host} must answer for this, and does not: {self.words}"


def needed(stages: Sequence[Stage], plan: Plan, records: Records) -> list[str]:
    """The stages that planned ones need, that are applied and that the plan does not run."""
    table = {stage.name: stage for stage in stages}
    planned = [step.stage for step in plan.steps if step.stage in table]
    waiting, found = list(dict.fromkeys(planned)), dict[str, None]()
    while waiting:
        for need in table[waiting.pop(0)].needs:
            if need.stage not in found and need.stage in table:
                found[need.stage] = None
                waiting.append(need.stage)
    applied = {
        stage for entries in records.stages.values() for stage, entry in entries.items() if "parts" in entry
    }
    return [name for name in found if name in applied and name not in planned]


async def away(fleet: Fleet, names: Sequence[str], records: Records) -> tuple[Away, ...]:
    """Of these stages' services those that do not answer on any of their hosts."""
    asked = [(name, QUESTIONS[name]) for name in names if name in QUESTIONS]
    answers = await asyncio.gather(*(_ask(fleet, name, question, records) for name, question in asked))
    return tuple(answer for answer in answers if answer)


async def _ask(fleet: Fleet, name: str, question: Question, records: Records) -> Away | None:
    hosts = [
        fleet.hosts[host] for host in fleet.members(question.group) if records.parts(host, question.stage)
    ]
    for seconds in _PAUSES:
        replies = await asyncio.gather(*(_reply(host, question) for host in hosts))
        if not replies or any(reply.code == 0 for reply in replies):
            return None
        await asyncio.sleep(seconds)
    return Away(name, question.service, hosts[0].name, replies[0].message)


async def _reply(host: Host, question: Question) -> remote.Reply:
    script = f"timeout {_SECONDS} sh -c {shlex.quote(question.script)}"
    return await remote.run(host.connection, script, seconds=_SECONDS + 15)


def refusal(fleet: Fleet, services: Sequence[Away]) -> PlatformError:
    """The error of a run that does not begin."""
    stages = " ".join(f"--stage {away.stage}" for away in services)
    return PlatformError(
        f"{' and '.join(away.service for away in services)} must answer first, so nothing was done",
        where=", ".join(dict.fromkeys(away.host for away in services)),
        next=f"start it: platformctl install -i {fleet.inventory} --full {stages}; then the same command",
        details=[away.sentence for away in services],
    )
