"""What a health check is: a question, where it is asked, and how its answer is read.

A stage names the checks that prove it (`proofs` of engine/stages.py). The same checks serve four commands, so
that these never disagree: `install` asks those of a stage after it ran, `verify` asks all, and `status` and
`plan` ask the quick ones. This module knows no host and no check; it is pure.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from platformctl.engine.fleet import Fleet, Host

SKIPPED = 3
"""The exit status of a script that could not try. Its last line says why; it counts as fine."""

GLOBAL = ""
"""The subject of an outcome that concerns the site, not one host."""


class Place(StrEnum):
    """Where a question is asked: on each host itself, through kubectl, or on a Slurm controller."""

    HOST = "host"
    KUBERNETES = "kubernetes"
    SLURM = "slurm"


@dataclass(frozen=True)
class Scene:
    """What the reader of an answer knows about the site. applied: stages that ended well, by host."""

    fleet: Fleet
    applied: Mapping[str, Collection[str]] = field(default_factory=dict)

    def has(self, host: str, *stages: str) -> bool:
        """Whether one of these stages is applied on the host."""
        return any(stage in self.applied.get(host, ()) for stage in stages)


@dataclass(frozen=True)
class Outcome:
    """One answer about one subject, in words. skipped: it was not tried, and `found` says why."""

    fine: bool
    found: str
    skipped: bool = False


Script = Callable[[Fleet, Host], str]
Peers = Callable[[Fleet, Host], list[Host]]
Read = Callable[[Scene, str, int, str], Mapping[str, Outcome]]
"""From the scene, the name of the host that was asked, exit status and output: outcomes by subject."""


def plain(_scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    """The usual reading: status 0 is fine, 3 is skipped, all else is a failure in the script's words."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if code == 0:
        return {asked: Outcome(True, lines[-1] if lines else "")}
    if code == SKIPPED:
        return {asked: Outcome(True, lines[-1] if lines else "not tried", skipped=True)}
    if code in (124, 137):
        lines = [*lines, "no answer in time"]
    return {asked: Outcome(False, " / ".join(lines[-3:]) or f"exit status {code}")}


@dataclass(frozen=True)
class HealthCheck:
    """One question. name: in a few words, shown to people.

    script: POSIX shell, run as root; empty text where the host has nothing to ask.
    question: instead of it, where the place is not a host. Checks with the same question share its answer;
    `kubectl` is the cluster's.
    seconds: how long one try may take. patience: how long `install` waits until the answer is good.
    groups: further groups whose hosts `verify` and `status` ask.
    after: stages that must be applied on the asked host too.
    of_group: it concerns only sites with hosts of that group.
    look: a command that tells more.
    quick: `status` asks it, and `plan`, because running the stage again mends it or waits until it is well.
    harmful: running the stage again would do harm instead, so `plan` does not ask it.
    repair: shell that mends it on a host in service, after its stage ran.
    source: a script on the first host of the stage's group, whose output the others' script gets as $given.
    peers: the hosts that the answer of one is about; the reader needs to know whether they are in service.
    """

    name: str
    script: Script = lambda _fleet, _host: ""
    place: Place = Place.HOST
    question: str = ""
    read: Read = plain
    seconds: int = 8
    patience: int = 60
    groups: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    of_group: str = "all"
    look: str = ""
    quick: bool = False
    harmful: bool = False
    repair: str = ""
    source: str = ""
    peers: Peers = lambda _fleet, _host: []


@dataclass(frozen=True)
class Answer:
    """What a check found out about one subject: a host, or GLOBAL."""

    stage: str
    check: HealthCheck
    subject: str
    outcome: Outcome

    @property
    def words(self) -> str:
        """The finding for people, with what to look at if it is bad."""
        look = f" (look at: {self.check.look})" if self.check.look and not self.outcome.fine else ""
        return f"{self.check.name}: {self.outcome.found}{look}"


def failing(answers: Sequence[Answer]) -> list[Answer]:
    """The answers that are not fine."""
    return [answer for answer in answers if not answer.outcome.fine]
