"""The rules that decide `target: auto`: data that a site can read and change.

Every matching rule with `refuse` removes its targets, also for Jobs that name one of them. The first matching
rule with `prefer` gives the order; targets that it does not name come last. A rule matches if all its
conditions hold. Globs are those of fnmatch (`*`, `?`, `[a-z]`).
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from platformctl.jobs.model import BACKENDS, JobSpec, Target
from platformctl.jobs.slurm_block import total_gpus
from platformctl.jobs.walltime import parse_walltime
from platformctl.router.backend import Load, Ticket

GPU_TYPE_LABEL = "nvidia.com/gpu.product"


def _back_end(target: Target) -> Target:
    if target not in BACKENDS:
        raise ValueError(f"must be one of {', '.join(BACKENDS)}")
    return target


Seconds = Annotated[int, BeforeValidator(parse_walltime)]
FreePart = Annotated[float, Field(ge=0, le=1)]
Place = Annotated[Target, AfterValidator(_back_end)]


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Range(_Rules):
    """A range for a free part: `{above: 0.5}`, `{below: 0.1}`."""

    above: FreePart = 0.0
    below: FreePart = 1.0

    def holds(self, free: float | None) -> bool:
        """Whether a free part is in the range; None, for no such resource, counts as 0."""
        return self.above <= (free or 0.0) <= self.below


class Free(_Rules):
    """Which parts of a target's CPUs and GPUs must be free."""

    cpus: Range | None = None
    gpus: Range | None = None

    def holds(self, load: Load) -> bool:
        """Whether a load meets it."""
        ranges = ((self.cpus, load.cpus), (self.gpus, load.gpus))
        return all(wanted is None or wanted.holds(free) for wanted, free in ranges)


class When(_Rules):
    """Conditions of a rule; a missing condition holds for every Job.

    kind: what the Job runs. queues, images, users, accounts, gpu_type (of GPU_TYPE_LABEL), data (the sources
    of stageIn): one of the globs matches. rdma: the Job asks for a label or device with `rdma` in its name.
    min_gpus: of all tasks together. Wall times are written as in a Job, such as 90m; they never match a Job
    without one. free: by target.
    """

    kind: Literal["script", "container"] | None = None
    queues: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    gpu_type: tuple[str, ...] = ()
    min_gpus: int | None = None
    rdma: bool | None = None
    array: bool | None = None
    interactive: bool | None = None
    min_tasks: int | None = None
    min_nodes: int | None = None
    min_walltime: Seconds | None = None
    max_walltime: Seconds | None = None
    free: Mapping[Place, Free] = {}

    def holds(self, ticket: Ticket, loads: Mapping[Target, Load]) -> bool:
        """Whether the conditions hold for a Job. loads: of the targets that `free` names and that answer."""
        return self._names(ticket) and self._size(ticket.job) and self._loads(loads)

    def _names(self, ticket: Ticket) -> bool:
        job, user = ticket.job, ticket.user
        queue = ticket.queue.name if ticket.queue else job.queue
        container = job.container
        kind = "script" if container is None else "container"
        asked = [*job.pod.node_selector, *job.resources.requests, *job.resources.limits]
        return (
            self.kind in (None, kind)
            and _any(self.queues, [queue])
            and _any(self.images, [container.image if container else None])
            and _any(self.users, [user.name])
            and _any(self.accounts, [job.account or user.account])
            and _any(self.data, [transfer.source for transfer in job.stage_in])
            and _any(self.gpu_type, [job.pod.node_selector.get(GPU_TYPE_LABEL)])
            and self.rdma in (None, any("rdma" in name for name in asked))
        )

    def _size(self, job: JobSpec) -> bool:
        least = (
            (self.min_gpus, total_gpus(job)),
            (self.min_tasks, job.tasks),
            (self.min_nodes, job.nodes or 1),
        )
        return (
            all(wanted is None or there >= wanted for wanted, there in least)
            and self.array in (None, job.array is not None)
            and self.interactive in (None, job.interactive)
            and (self.min_walltime is None or (job.walltime or 0) >= self.min_walltime)
            and (self.max_walltime is None or 0 < (job.walltime or 0) <= self.max_walltime)
        )

    def _loads(self, loads: Mapping[Target, Load]) -> bool:
        return all(target in loads and free.holds(loads[target]) for target, free in self.free.items())


class Rule(_Rules):
    """One rule: its conditions, the targets to try first or to refuse, and the reason for people."""

    when: When = When()
    prefer: tuple[Place, ...] = ()
    refuse: tuple[Place, ...] = ()
    because: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _one_verdict(self) -> Self:
        if bool(self.prefer) == bool(self.refuse):
            raise ValueError("a rule has either prefer or refuse")
        return self


DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(
        when=When(min_nodes=2),
        prefer=(Target.SLURM,),
        because="jobs of several nodes are Slurm's",
    ),
    Rule(
        when=When(rdma=True),
        prefer=(Target.SLURM,),
        because="jobs with RDMA are Slurm's",
    ),
    Rule(
        when=When(kind="script"),
        prefer=(Target.SLURM, Target.KUBERNETES),
        because="scripts are written for Slurm",
    ),
    Rule(
        when=When(kind="container"),
        prefer=(Target.KUBERNETES, Target.SLURM),
        because="containers are made for Kubernetes",
    ),
)


def measured(rules: Sequence[Rule]) -> frozenset[Target]:
    """The targets whose load the rules need."""
    return frozenset(target for rule in rules for target in rule.when.free)


def _any(globs: Sequence[str], values: Sequence[str | None]) -> bool:
    """Whether one of the values matches one of the globs; also true without globs."""
    return not globs or any(
        value is not None and fnmatchcase(value, glob) for value in values for glob in globs
    )
