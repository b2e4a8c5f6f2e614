"""What a Job asks for, in units both schedulers understand, and who asks.

A JobSpec is already checked: all its values are valid. `unsupported` says what each back end cannot do, so
that `target: auto` can choose another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Target(StrEnum):
    """Where a job may run."""

    AUTO = "auto"
    SLURM = "slurm"
    KUBERNETES = "kubernetes"


BACKENDS = tuple(target for target in Target if target is not Target.AUTO)


@dataclass(frozen=True)
class Refusal:
    """Why a job is not accepted: path of the field (`spec.template.spec.hostNetwork`) and what to change."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class User:
    """A user of the site as on every host; from the inventory's users_accounts.

    groups: supplementary gids. account: the Slurm account for jobs that name none. group_names: by gid, for
    groups that the site has named.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    account: str | None
    home: str
    home_claim: str | None = None
    group_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Resources:
    """What one task needs. Zero means not requested: the back end's default applies.

    millicores: thousandths of a CPU core; memory: bytes; gpus: whole devices. Kubernetes gets both levels as
    the user wrote them (`requests`, `limits`); Slurm gets the larger of the two.
    """

    millicores: int = 0
    memory: int = 0
    gpus: int = 0
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """The one container of a template. env keeps the order of the manifest: later values may use earlier."""

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    resources: Resources
    working_dir: str | None = None
    pull_policy: str | None = None
    mounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PodOptions:
    """Parts of a pod template that only Kubernetes has; volumes are names of emptyDir volumes."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    grace_seconds: int | None = None


class When(StrEnum):
    """What a dependency waits for. If it can no longer happen, the waiting job is refused."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FINISHED = "finished"
    STARTED = "started"


@dataclass(frozen=True)
class Dependency:
    """Another Job of the same namespace, by name, and what to wait for."""

    name: str
    when: When


@dataclass(frozen=True)
class Array:
    """One job that runs once for each index. limit: how many at once, None for no limit."""

    indices: tuple[int, ...]
    limit: int | None = None

    @property
    def from_zero(self) -> bool:
        """Whether the indices are 0, 1, 2 and so on without a gap."""
        return self.indices == tuple(range(len(self.indices)))


@dataclass(frozen=True)
class Transfer:
    """A file or folder copied as the user; both absolute, or relative to the user's home."""

    source: str
    target: str


@dataclass(frozen=True)
class Priority:
    """What a priority class means on each back end. nice: Slurm's, which lowers the priority; 0 for none.

    pod_priority_class: a PriorityClass of Kubernetes.
    """

    qos: str | None = None
    nice: int = 0
    pod_priority_class: str | None = None


@dataclass(frozen=True)
class Policy:
    """What a site allows its users to ask for. priorities: by the name of the class.

    stage_paths: absolute folders outside of homes that files may be staged from and to, on Slurm.
    """

    priorities: Mapping[str, Priority] = field(default_factory=dict)
    stage_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobSpec:
    """A checked job: exactly one of script and container is set.

    resources: what one task needs; the container's if there is one. walltime: seconds, None for the queue's
    default. nodes: None if the scheduler chooses how many. queue: the name of a Queue, None for the site's
    default. tasks: how many run at the same time; each element of an array has that many. priority: the
    meaning of the site's class of that name, set by `policy`. retries: further attempts after a failure.
    ttl_after_finished: seconds until an ended Job is deleted, None for never. unsupported: for each back end
    that cannot run the job, why.
    """

    script: str | None = None
    container: Container | None = None
    pod: PodOptions = field(default_factory=PodOptions)
    resources: Resources = field(default_factory=Resources)
    target: Target = Target.AUTO
    queue: str | None = None
    walltime: int | None = None
    nodes: int | None = None
    tasks: int = 1
    tasks_per_node: int | None = None
    array: Array | None = None
    depends_on: tuple[Dependency, ...] = ()
    account: str | None = None
    priority_class: str | None = None
    priority: Priority | None = None
    interactive: bool = False
    retries: int = 0
    suspend: bool = False
    ttl_after_finished: int | None = None
    stage_in: tuple[Transfer, ...] = ()
    stage_out: tuple[Transfer, ...] = ()
    unsupported: Mapping[Target, tuple[Refusal, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """How much may be live in a queue at once; None for no limit."""

    jobs: int | None = None
    millicores: int | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class Queue:
    """A Queue resource, checked: where its jobs may go, who may use it, and how much.

    targets: back ends in the order of preference. partition and qos are Slurm's; node_selector and
    pod_priority_class are Kubernetes'. Walltimes in seconds. users and accounts: who may use it, empty for
    everybody. preemptible: jobs of other queues may preempt its jobs. default: for Jobs that name no queue.
    """

    name: str
    targets: tuple[Target, ...] = BACKENDS
    partition: str | None = None
    qos: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    pod_priority_class: str | None = None
    default_walltime: int | None = None
    max_walltime: int | None = None
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    per_user: Limits = Limits()
    per_account: Limits = Limits()
    preemptible: bool = False
    default: bool = False
