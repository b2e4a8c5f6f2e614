"""How a stage ended on a host."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The end of one stage on one host. Blocked: not tried, because something that it needs failed."""

    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"

    @property
    def fine(self) -> bool:
        """Whether stages that need this one may run."""
        return self in (Status.OK, Status.CHANGED)


@dataclass(frozen=True)
class HostResult:
    """status; task and message of one that is not fine; changes: names of tasks that changed something.

    failed: all tasks that failed, `role : task`; more than one where the playbook went on.
    """

    status: Status
    task: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageResult:
    """How a stage ended on each of its hosts, and how long it took in seconds."""

    stage: str
    hosts: Mapping[str, HostResult]
    seconds: float = 0.0
