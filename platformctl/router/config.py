"""The router's configuration: one JSON file, written by the chart from the site's inventory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from platformctl.jobs.kubernetes import DEFAULT_IMAGE
from platformctl.jobs.model import Limits, Policy, Priority, Queue, SlurmPolicy, User
from platformctl.jobs.sbatch_options import BLOCKS
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Why the site decides so, for people.
_Reason = Annotated[str, Field(min_length=1, max_length=200)]

# A field of a line in /etc/passwd or /etc/group.
_Field = Annotated[str, Field(pattern=r"^[^:\x00-\x1f]+$")]


class GroupEntry(_Strict):
    """A group of the site."""

    name: _Field
    gid: _Id


class UserEntry(_Strict):
    """A site user: numeric ids as on every host. Root cannot be one."""

    name: _Field
    uid: _Id
    gid: _Id
    groups: list[_Id] = []
    account: str | None = None
    home: _Field
    home_claim: str | None = None

    def user(self, group_names: Mapping[int, str]) -> User:
        """The user in the form that translations need."""
        return User(
            self.name,
            self.uid,
            self.gid,
            tuple(self.groups),
            self.account,
            self.home,
            self.home_claim,
            {gid: group_names[gid] for gid in (self.gid, *self.groups) if gid in group_names},
        )


class TemplatesEntry(_Strict):
    """What the site allows in pod templates, and what it maps for Slurm; see jobs.model.Policy.

    service_accounts: names by namespace.
    """

    service_accounts: dict[str, list[str]] = {}
    csi_drivers: list[str] = []
    node_features: dict[str, str] = {}
    devices: dict[str, Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]] = {}
    claim_folders: dict[str, Annotated[str, Field(pattern=r"^(/[^/:\x00-\x1f]+)+$")]] = {}
    slurm_secrets: bool = False

    def policy(self) -> Policy:
        """The part of the policy."""
        accounts = {f"{space}/{name}" for space, names in self.service_accounts.items() for name in names}
        return Policy(
            service_accounts=frozenset(accounts),
            csi_drivers=frozenset(self.csi_drivers),
            node_features=self.node_features,
            claim_folders=self.claim_folders,
            devices=self.devices,
            slurm_secrets=self.slurm_secrets,
        )


class SlurmEntry(_Strict):
    """How to reach slurmrestd. key_file: the site's JWT key. reader: the Slurm user for read requests."""

    address: str
    key_file: Path
    ca_file: Path | None = None
    reader: str = "slurm"
    interval: Annotated[float, Field(gt=0, le=60)] = 1.0


class PriorityEntry(_Strict):
    """A priority class that Jobs may name, and what it means on each back end.

    nice: Slurm's; it lowers a job's priority. Only Slurm operators may raise one, and the router is not one.
    """

    qos: str | None = None
    nice: Annotated[int, Field(ge=0, le=2**31 - 3)] = 0
    pod_priority_class: str | None = None

    def priority(self) -> Priority:
        """The class in the form that translations need."""
        return Priority(self.qos, self.nice, self.pod_priority_class)


class ForcedEntry(_Strict):
    """A value that every job on Slurm gets, and why."""

    value: Any
    because: _Reason


def _of_slurm(name: str) -> str:
    if name not in BLOCKS:
        raise ValueError(f"is not a field of spec.slurm; there are {', '.join(BLOCKS)}")
    return name


_SlurmField = Annotated[str, AfterValidator(_of_slurm)]


def _checked(force: dict[str, ForcedEntry]) -> dict[str, ForcedEntry]:
    for name, entry in force.items():
        try:
            BLOCKS[name].kind.check(entry.value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return force


class SlurmOptionsEntry(_Strict):
    """What the site decides about `spec.slurm`.

    forbid: the reason by field. force: the value by field. folders: outside of homes, where jobs may start.
    plugins: the name of the plugin by its option.
    """

    forbid: dict[_SlurmField, _Reason] = {}
    force: Annotated[dict[_SlurmField, ForcedEntry], AfterValidator(_checked)] = {}
    folders: list[Annotated[str, Field(pattern=r"^(/[^/\x00-\x1f]+)+$")]] = []
    plugins: dict[str, str] = {}

    def policy(self) -> SlurmPolicy:
        """The form that the checks need."""
        forced = {name: (entry.value, entry.because) for name, entry in self.force.items()}
        return SlurmPolicy(self.forbid, forced, tuple(self.folders), self.plugins)


_Count = Annotated[int, Field(ge=0, le=100_000_000)]


class LimitsEntry(_Strict):
    """What a user, or an account, may have on Kubernetes at the same time; None for no limit."""

    jobs: _Count | None = None
    cpus: _Count | None = None
    gpus: _Count | None = None
    pods: _Count | None = None

    def limits(self) -> Limits:
        """The form that the gates need."""
        return Limits.of(self.jobs, self.cpus, self.gpus, self.pods)


class KubernetesEntry(_Strict):
    """What Jobs may have on Kubernetes, whatever their queue.

    array_at_once: how many elements of an array run at the same time at most; None for any number.
    """

    array_at_once: Annotated[int, Field(ge=1)] | None = None
    per_user: LimitsEntry = LimitsEntry()
    per_account: LimitsEntry = LimitsEntry()

    def limits(self) -> Queue:
        """The limits, in the form of a queue that every Job on Kubernetes is in."""
        return Queue("", per_user=self.per_user.limits(), per_account=self.per_account.limits())


class LeaseEntry(_Strict):
    """The Lease that one of several routers holds while it works."""

    namespace: str
    name: str


class RouterConfig(_Strict):
    """The whole file.

    site: its name, which marks the router's jobs in every back end. slurm: without it, Kubernetes is the only
    back end. lease: without it, the process assumes that it is the only router. grace_seconds: how long
    reconciles in progress may take after the process is told to stop. health: host and port of /healthz,
    /readyz and /metrics. priorities: by the name that Jobs use. routing: see routing_rules; the default rules
    if it is empty. stage_paths: folders outside of homes that Jobs may stage files from and to.
    templates: what pod templates may name. slurm_options: what the site decides about `spec.slurm`.
    """

    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
    users: list[UserEntry]
    groups: list[GroupEntry] = []
    slurm: SlurmEntry | None = None
    kubernetes: KubernetesEntry = KubernetesEntry()
    script_image: str = DEFAULT_IMAGE
    workers: Annotated[int, Field(ge=1, le=64)] = 32
    sweep_seconds: Annotated[float, Field(gt=0)] = 300.0
    lease: LeaseEntry | None = None
    grace_seconds: Annotated[float, Field(ge=0, le=300)] = 15.0
    health: str = "http://0.0.0.0:8080/healthz"
    priorities: dict[str, PriorityEntry] = {}
    routing: list[Rule] = []
    templates: TemplatesEntry = TemplatesEntry()
    stage_paths: list[Annotated[str, Field(pattern=r"^(/[^/\x00-\x1f]+)+$")]] = []
    slurm_options: SlurmOptionsEntry = SlurmOptionsEntry()

    def by_name(self) -> dict[str, User]:
        """Users by their names in the Kubernetes API."""
        names = {entry.gid: entry.name for entry in self.groups}
        return {entry.name: entry.user(names) for entry in self.users}

    def rules(self) -> Sequence[Rule]:
        """The site's routing rules, or the default ones."""
        return self.routing or DEFAULT_RULES

    def policy(self) -> Policy:
        """What the site allows its users to ask for."""
        priorities = {name: entry.priority() for name, entry in self.priorities.items()}
        ids = {number for entry in self.users for number in (entry.uid, entry.gid, *entry.groups)}
        return replace(
            self.templates.policy(),
            priorities=priorities,
            stage_paths=tuple(self.stage_paths),
            slurm=self.slurm_options.policy(),
            ids=frozenset(ids | {entry.gid for entry in self.groups}),
        )


def load(path: Path) -> RouterConfig:
    """Read and check the file."""
    return RouterConfig.model_validate_json(path.read_bytes())
