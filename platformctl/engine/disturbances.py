"""The words in which the table of stages says what a stage disturbs: daemons that restart, work that ends.

What truly happens was read in the roles and tried on hosts. A daemon that restarts ends no work by itself:
jobs and containers run under processes of their own.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch

from platformctl.engine.fleet import Host
from platformctl.site import devices, node_classes, processors


class Workload(StrEnum):
    """What users run on a host and a stage may disturb."""

    NONE = ""
    JOBS = "slurm jobs"
    PODS = "pods"


class Scope(StrEnum):
    """Whose work a change ends."""

    ALL_JOBS = "every running job"
    QUEUE = "every job, waiting ones too"
    HOST_JOBS = "the running jobs on the stage's host"
    NODE_JOBS = "the running jobs on the node that the changed part names"
    NODE_HOLDERS = "those of them that hold a device of the kind that the changed part names"
    PARTITION_JOBS = "the jobs of the partition that the changed part names, waiting ones too"
    ALL_PODS = "every pod of users"
    HOST_PODS = "the pods of users on the stage's host"
    HOST_UNFIT = "those of them for which too little of the host is left"
    HOST_HOLDERS = "those of them that hold devices which are not Kubernetes' any more"

    @property
    def workload(self) -> Workload:
        """Which scheduler knows of that work."""
        return Workload.PODS if self in _PODS else Workload.JOBS


_PODS = frozenset({Scope.ALL_PODS, Scope.HOST_PODS, Scope.HOST_UNFIT, Scope.HOST_HOLDERS})

Condition = Callable[[Host, Collection[str]], bool]
"""Whether a host is concerned, by its new variables and its stages that are out of service now."""


Difference = Callable[[str, str], bool]
"""Whether a change of a part counts, by what the digest had of it and has now."""


@dataclass(frozen=True)
class Daemon:
    """A service that a stage restarts on its hosts when the files change that it reads.

    unit: of systemd, or a word for people. parts: patterns of the digest's parts that end up in these files;
    when another part changes, it may restart or not. service: what users do without meanwhile; empty if they
    notice nothing. seconds: for how long about.
    """

    unit: str
    parts: tuple[str, ...] = ()
    service: str = ""
    seconds: int = 0

    def surely(self, changed: Collection[str]) -> bool:
        """Whether one of these parts is in its files."""
        return any(fnmatch(part, pattern) for part in changed for pattern in self.parts)


@dataclass(frozen=True)
class Harm:
    """Work of users that ends, or loses what it was given, when parts of the stage's digest change.

    parts: patterns of these parts. scope: whose work. words: what becomes of it, for people. only: which
    changes of the part do so; all by default. when: whether a host is concerned at all.
    """

    parts: tuple[str, ...]
    scope: Scope
    words: str
    only: Difference | None = None
    when: Condition | None = None

    def caused_by(self, part: str, old: str, new: str) -> bool:
        """Whether this change of a part does the harm. old, new: what the digest has of it, or nothing."""
        fits = any(fnmatch(part, pattern) for pattern in self.parts)
        return fits and (self.only is None or self.only(old, new))


def variables(*names: str) -> tuple[str, ...]:
    """The parts of the digest for these variables."""
    return tuple(f"variable:{name}" for name in names)


def given_to(scheduler: str) -> Condition:
    """Whether a host becomes one that can move, and this scheduler gets it first.

    Later edits of `node_owner` move nothing: by then the host itself keeps its owner.
    """

    def given(host: Host, away: Collection[str]) -> bool:
        present = devices.on_host(host.variables, host.groups)
        return devices.moves(present) and host.variables["node_owner"] == scheduler and not away

    return given


def gone(_old: str, new: str) -> bool:
    """Whether the part is not there any more."""
    return not new


def known_before(old: str, _new: str) -> bool:
    """Whether the part was there before."""
    return bool(old)


def other_number(old: str, new: str) -> bool:
    """Whether both are numbers, and differ."""
    return old.isdigit() and new.isdigit() and old != new


def no_number(old: str, new: str) -> bool:
    """Whether something was there before, and one of both is no number, so that nobody can compare them."""
    return bool(old) and not (old.isdigit() and new.isdigit())


def takes_cpus(old: str, new: str) -> bool:
    """Whether CPUs that Slurm had of a node are not Slurm's any more; `all` are all of the node's."""
    if not old or not new or "all" in (old, new):
        return old == "all" and bool(new)
    try:
        return not set(processors.cpu_list(new)).issuperset(processors.cpu_list(old))
    except processors.ProcessorError:
        return True


def other_cpus(old: str, new: str) -> bool:
    """Whether the number of CPUs differs in two measured sizes, such as `4 CPUs, 16000 MiB`."""
    return bool(old and new) and old.partition(" ")[0] != new.partition(" ")[0]


def keeps_more(old: str, new: str) -> bool:
    """Whether jobs do not get CPUs any more that they got; both are lists of CPUs, or a number of `cores`."""
    try:
        return not set(_cpus(old)).issuperset(_cpus(new))
    except processors.ProcessorError:
        return True


def _cpus(text: str) -> tuple[int, ...]:
    return processors.cpu_list(text) if text else ()


def keeps_back(host: Host, _: Collection[str]) -> bool:
    """Whether pods do not get all CPUs and all memory of the host, by its shares or its class."""
    return node_classes.keeps_back(host.variables)


def static_cpus(host: Host, _: Collection[str]) -> bool:
    """Whether pods have CPUs alone on the host."""
    return node_classes.policy(host.variables) == node_classes.STATIC
