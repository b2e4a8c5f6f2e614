"""What a Job asks for, in units both schedulers understand, and who asks.

A JobSpec is already checked: nothing in it can be refused for its form. What one back end cannot do
is in `unsupported`, so that `target: auto` can choose the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Target(StrEnum):
    """Where a job may run."""

    AUTO = "auto"
    SLURM = "slurm"
    KUBERNETES = "kubernetes"


BACKENDS = (Target.SLURM, Target.KUBERNETES)


@dataclass(frozen=True)
class Refusal:
    """Why a job is not accepted: path of the field (`spec.template.spec.hostNetwork`) and what to change."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class User:
    """A person of the site as every host knows them; from the inventory's users_accounts.

    groups are supplementary gids; account is the Slurm account jobs are charged to unless they name one.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    account: str | None
    home: str


@dataclass(frozen=True)
class Resources:
    """What one task needs. Zero means not asked for: the back end's default holds.

    millicores: thousandths of a CPU core; memory: bytes; gpus: whole devices. Kubernetes receives the
    two levels as the user wrote them (`requests`, `limits`), Slurm the larger of the two.
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

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    grace_seconds: int | None = None


@dataclass(frozen=True)
class JobSpec:
    """A checked job: exactly one of script and container is set.

    walltime: seconds, None for the queue's default; nodes and tasks at least 1; queue is a Slurm
    partition, None for the site's default. unsupported: for each back end that cannot run the job, why.
    """

    script: str | None = None
    container: Container | None = None
    pod: PodOptions = field(default_factory=PodOptions)
    target: Target = Target.AUTO
    queue: str | None = None
    walltime: int | None = None
    nodes: int = 1
    tasks: int = 1
    account: str | None = None
    unsupported: Mapping[Target, tuple[Refusal, ...]] = field(default_factory=dict)
