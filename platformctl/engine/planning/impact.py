"""What a plan does to what runs on the site: daemons that restart, and jobs and pods that end.

Pure: the schedulers are asked by work.py. What changes does which harm is in the table of stages.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from platformctl.engine.disturbances import Daemon, Harm, Scope, Workload
from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.planning import holding
from platformctl.engine.planning.plan import FULL, Plan, Step
from platformctl.engine.planning.work import Job, Pod, Work
from platformctl.engine.stages import Stage


@dataclass(frozen=True)
class Restart:
    """A daemon that restarts on a host. sure: whether it is known that its files change."""

    daemon: Daemon
    sure: bool

    def __str__(self) -> str:
        verb = "restarts" if self.sure else "may restart"
        if not self.daemon.service:
            return f"{self.daemon.unit} {verb}"
        return f"{self.daemon.unit} {verb}: about {self.daemon.seconds} s without {self.daemon.service}"


@dataclass(frozen=True)
class Hurt:
    """A job or pod that a plan harms. words: what becomes of it."""

    work: Job | Pod
    words: str

    def __str__(self) -> str:
        return f"{self.work}: {self.words}"


@dataclass(frozen=True)
class Impact:
    """What one step does. running: what runs where it works, in words. effect: what users notice.

    hurt: the work that it harms. unknown: why that is not known, though the step does harm to what runs.
    """

    host: str
    stage: str
    running: str = ""
    effect: str = ""
    restarts: tuple[Restart, ...] = ()
    hurt: tuple[Hurt, ...] = ()
    unknown: str = ""

    @property
    def harmful(self) -> bool:
        """Whether work of users would be lost, or may be."""
        return bool(self.hurt or self.unknown)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which work is harmed."""
        found = (hurt.work.nodes if isinstance(hurt.work, Job) else (hurt.work.node,) for hurt in self.hurt)
        return tuple(dict.fromkeys(node for nodes in found for node in nodes))


def workloads(stages: Iterable[Stage], plan: Plan) -> set[Workload]:
    """What to ask the schedulers for: the work that the plan's steps on hosts in service may disturb."""
    table = {stage.name: stage for stage in stages}
    found: set[Workload] = set()
    for step in plan.steps:
        if not step.fresh and step.host not in plan.down:
            stage = table[step.stage]
            found |= {stage.workload, *(harm.scope.workload for harm in stage.harms)}
    return found - {Workload.NONE}


def impacts(stages: Iterable[Stage], plan: Plan, work: Work, fleet: Fleet) -> tuple[Impact, ...]:
    """What the plan does to what runs now. A step that changes nothing disturbs nothing."""
    table = {stage.name: stage for stage in stages}
    disturbing = [
        step
        for step in plan.steps
        if not step.fresh and step.host not in plan.down and step.reasons != (FULL,)
    ]
    found = (_impact(table[step.stage], step, work, fleet) for step in disturbing)
    return tuple(one for one in found if one.running or one.effect or one.restarts)


def _impact(stage: Stage, step: Step, work: Work, fleet: Fleet) -> Impact:
    caused = list(_caused(stage, step, fleet))
    hurt: dict[Job | Pod, Hurt] = {}
    for harm, part in caused:
        for one in _hurt(harm, part, step, work, fleet):
            # The first of the table is the worst.
            hurt.setdefault(one.work, one)
    scopes = {harm.scope.workload for harm, _ in caused}
    unknown = "; ".join(why for workload, why in work.unknown.items() if workload in scopes)
    harm_words = [*_summed(hurt.values()), *([f"unknown: {unknown}"] if unknown else [])]
    return Impact(
        step.host,
        step.stage,
        _running(stage, step.host, work),
        "; ".join(harm_words) or stage.effect,
        tuple(Restart(daemon, daemon.surely(step.changed)) for daemon in stage.daemons),
        tuple(hurt.values()),
        unknown,
    )


def _running(stage: Stage, host: str, work: Work) -> str:
    if stage.workload is Workload.NONE:
        return ""
    if stage.workload in work.unknown:
        return f"{stage.workload} unknown"
    count = work.running(stage.workload, "" if stage.fleetwide else host)
    return f"{count} {stage.workload}" if count else ""


def _summed(hurt: Iterable[Hurt]) -> list[str]:
    """What becomes of the work, each once, with the first of it."""
    alike: dict[str, list[str]] = {}
    for one in hurt:
        alike.setdefault(one.words, []).append(_named(one.work))
    return [f"{names[0]}{_more(names)} {words}" for words, names in alike.items()]


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _named(work: Job | Pod) -> str:
    return f"job {work.id}" if isinstance(work, Job) else f"pod {work.namespace}/{work.name}"


def _caused(stage: Stage, step: Step, fleet: Fleet) -> Iterator[tuple[Harm, str]]:
    """The harms that the step's changes do, with the name in the part that does it."""
    host = fleet.hosts.get(step.host)
    for harm in stage.harms:
        if harm.when and not (host and harm.when(host, step.away)):
            continue
        for part, change in step.changed.items():
            if harm.caused_by(part, change.old or "", change.new or ""):
                yield harm, part.partition(":")[2]


def _hurt(harm: Harm, name: str, step: Step, work: Work, fleet: Fleet) -> Iterator[Hurt]:
    for one in _SCOPES[harm.scope](work, step.host, name, fleet):
        yield Hurt(one, harm.words)


Chosen = Callable[[Work, str, str, Fleet], Iterable[Job | Pod]]
"""The work in a scope: of what runs, by the step's host and the name in the changed part."""


def _holding(name: str, work: Work) -> list[Job]:
    """The jobs that hold a generic resource on a node. name: NODE/RESOURCE."""
    node, _, resource = name.partition("/")
    return [job for job in work.jobs_on.get(node, ()) if resource in job.devices]


def _pods(work: Work, host: str) -> list[Pod]:
    return [pod for pod in (work.pods_on.get(host, ()) if host else work.pods) if pod.users]


_SCOPES: Mapping[Scope, Chosen] = {
    Scope.ALL_JOBS: lambda work, _host, _name, _fleet: [job for job in work.jobs if not job.waits],
    Scope.QUEUE: lambda work, _host, _name, _fleet: work.jobs,
    Scope.HOST_JOBS: lambda work, host, _name, _fleet: work.jobs_on.get(host, ()),
    Scope.NODE_JOBS: lambda work, _host, name, _fleet: work.jobs_on.get(name, ()),
    Scope.NODE_HOLDERS: lambda work, _host, name, _fleet: _holding(name, work),
    Scope.PARTITION_JOBS: lambda work, _host, name, _fleet: [
        job for job in work.jobs if name in job.partitions
    ],
    Scope.ALL_PODS: lambda work, _host, _name, _fleet: _pods(work, ""),
    Scope.HOST_PODS: lambda work, host, _name, _fleet: _pods(work, host),
    Scope.HOST_UNFIT: lambda work, host, _name, fleet: holding.unfit(work, fleet.hosts[host]),
    Scope.HOST_HOLDERS: lambda work, host, _name, fleet: holding.holders(work, fleet.hosts[host]),
}


def services(found: Iterable[Impact]) -> list[tuple[str, str]]:
    """The services that are interrupted, with the words for it; each once, with its hosts."""
    hosts: dict[str, list[str]] = {}
    for impact in found:
        for restart in impact.restarts:
            hosts.setdefault(str(restart), []).append(impact.host)
    return [(_some(names), words) for words, names in hosts.items()]


def _some(hosts: list[str]) -> str:
    return ", ".join("this machine" if host == LOCALHOST else host for host in hosts[:6]) + (
        " ..." if len(hosts) > 6 else ""
    )
