"""What a Job asks for, in units both schedulers understand, and who asks.

A JobSpec is already checked: all its values are valid. `unsupported` says what each back end cannot do, so
that `target: auto` can choose another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


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
class Source:
    """Where the value of a variable comes from, other than the manifest.

    kind: the field of valueFrom or envFrom, such as configMapKeyRef. name: the ConfigMap or Secret; for a
    resourceFieldRef the container, empty for the same one. key: the entry, the path of the field, or the
    resource. optional: the variable is not set if there is no such entry. divisor: of a resourceFieldRef.
    """

    kind: str
    name: str = ""
    key: str = ""
    optional: bool = False
    divisor: str = "1"


type Variables = tuple[tuple[str, str | Source], ...]
"""Names with their values in the order of the manifest: later values may use earlier ones."""


@dataclass(frozen=True)
class Mount:
    """A volume in a container. path: absolute. sub_path: the part of the volume, relative; empty for all."""

    volume: str
    path: str
    read_only: bool = False
    sub_path: str = ""


@dataclass(frozen=True)
class Container:
    """One container of a template. env_from: prefixes with a ConfigMap or a Secret.

    given: the checked fields as they were written, for a back end that has the same fields.
    """

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: Variables
    resources: Resources
    working_dir: str | None = None
    pull_policy: str | None = None
    mounts: tuple[Mount, ...] = ()
    env_from: tuple[tuple[str, Source], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Volume:
    """A volume of a template. kind: its field, such as emptyDir. source: the value of this field."""

    name: str
    kind: str
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """A number of a securityContext that must be the submitter's own. path: where it is written.

    kind: runAsUser, runAsGroup, fsGroup or supplementalGroups.
    """

    path: str
    kind: str
    number: int


@dataclass(frozen=True)
class PodOptions:
    """What a pod template says besides its main container.

    init: containers that run before it, in order; those with restartPolicy Always go on beside it. beside:
    the other containers. grace_seconds: between SIGTERM and SIGKILL. deadline: seconds, of the template's own
    activeDeadlineSeconds. service_account: None for none. labels, annotations: of the template's metadata.
    given: the checked fields of the pod as they were written.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    grace_seconds: int | None = None
    init: tuple[Container, ...] = ()
    beside: tuple[Container, ...] = ()
    deadline: int | None = None
    service_account: str | None = None
    priority_class: str | None = None
    identities: tuple[Identity, ...] = ()
    on_failure: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


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
class FailureRule:
    """What a failed attempt means, as a rule of batch/v1's podFailurePolicy; the first that matches counts.

    action: FailJob, FailIndex, Ignore or Count. codes: exit codes that match; with `others` all but these and
    0. container: whose exit code, None for any. conditions: types of conditions of a pod that match, such as
    DisruptionTarget.
    """

    action: str
    codes: frozenset[int] = frozenset()
    others: bool = False
    container: str | None = None
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuccessRule:
    """When an array has succeeded early, as a rule of batch/v1's successPolicy.

    indices: those that count, None for all. count: how many of them must succeed, None for all of them.
    """

    indices: frozenset[int] | None
    count: int | None


@dataclass(frozen=True)
class OnSlurm:
    """What the site's policy makes of a template on Slurm.

    constraint: an expression of features, empty for any node. hosts, excluded: names of nodes. folders: for
    the names of volumes the folder on Slurm's hosts. devices: how many of each generic resource a task needs,
    by Slurm's name, beside its GPUs of NVIDIA. types: the type of a generic resource that it must be of.
    """

    constraint: str = ""
    hosts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What the fields of batch/v1's JobSpec say that no other field of a Job does.

    completions: the array was written as completions or parallelism: then a retry repeats only what failed.
    indexed: whether its elements know their index. counted: whether the number of completions is given;
    without it, the elements share one queue of work. per_index: retries for each index. max_failed: how many
    indices may fail before the rest is ended. failure, success: the rules. done: indices that earlier
    attempts have done. given: the fields as they were written, for Kubernetes.
    """

    completions: bool = False
    indexed: bool = True
    counted: bool = True
    per_index: int | None = None
    max_failed: int | None = None
    failure: tuple[FailureRule, ...] = ()
    success: tuple[SuccessRule, ...] = ()
    done: frozenset[int] = frozenset()
    given: Mapping[str, Any] = field(default_factory=dict)


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
class SlurmPolicy:
    """What a site decides about `spec.slurm`, by the names of its fields.

    forbidden: why a field cannot be given. forced: a field's value for every job on Slurm, and why. folders:
    absolute folders outside of homes where jobs may start. plugins: for the name of an option of a plugin,
    the plugin's name.
    """

    forbidden: Mapping[str, str] = field(default_factory=dict)
    forced: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    plugins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """What a site allows its users to ask for. priorities: by the name of the class.

    stage_paths: absolute folders outside of homes that files may be staged from and to, on Slurm.
    service_accounts: of Kubernetes, as `namespace/name`, that Jobs may use. csi_drivers: for inline volumes.
    ids: the numbers of all users and groups of the site. node_features: for labels of nodes (`key=value`) the
    feature of Slurm's nodes that means the same. claim_folders: for claims (`namespace/name`) the folder on
    Slurm's hosts with the same files. devices: for resources of Kubernetes the generic resource of Slurm that
    means the same. slurm_secrets: nobody but root and the user can read the environment of
    a job on Slurm, so that Secrets may be in it.
    """

    priorities: Mapping[str, Priority] = field(default_factory=dict)
    stage_paths: tuple[str, ...] = ()
    slurm: SlurmPolicy = field(default_factory=SlurmPolicy)
    service_accounts: frozenset[str] = frozenset()
    csi_drivers: frozenset[str] = frozenset()
    ids: frozenset[int] = frozenset()
    node_features: Mapping[str, str] = field(default_factory=dict)
    claim_folders: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    slurm_secrets: bool = False


@dataclass(frozen=True)
class JobSpec:
    """A checked job: exactly one of script and container is set.

    resources: what one task needs; the container's if there is one. walltime: seconds, None for the queue's
    default. nodes: None if the scheduler chooses how many. queue: the name of a Queue, None for the site's
    default. tasks: how many run at the same time; each element of an array has that many. priority: the
    meaning of the site's class of that name, set by `policy`. retries: further attempts after a failure.
    ttl_after_finished: seconds until an ended Job is deleted, None for never. args: the script's arguments.
    components: what the further components of a heterogeneous job need. slurm: what only Slurm has, checked
    values by the fields of `sbatch_options.BLOCKS`. unsupported: for each back end that cannot run the job,
    why. dropped: for each back end, the wishes that have no effect there. batch: what only batch/v1 has.
    on_slurm: set by `policy`. rdma: the RDMA resources that a task asks for, with their amounts; set by
    `policy`.
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
    args: tuple[str, ...] = ()
    components: tuple["JobSpec", ...] = ()
    slurm: Mapping[str, Any] = field(default_factory=dict)
    unsupported: Mapping[Target, tuple[Refusal, ...]] = field(default_factory=dict)
    dropped: Mapping[Target, tuple[Refusal, ...]] = field(default_factory=dict)
    batch: Batch = Batch()
    on_slurm: OnSlurm = OnSlurm()
    rdma: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """How much may be live at once, in a queue or on Kubernetes; None for no limit. pods: on Kubernetes."""

    jobs: int | None = None
    millicores: int | None = None
    gpus: int | None = None
    pods: int | None = None

    @classmethod
    def of(cls, jobs: int | None, cpus: int | None, gpus: int | None, pods: int | None) -> Self:
        """The limits as a Queue and the router's configuration write them: with whole CPUs."""
        return cls(jobs, None if cpus is None else cpus * 1000, gpus, pods)


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
