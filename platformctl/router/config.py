"""The router's configuration: one JSON file, written by the chart from the site's inventory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from platformctl.jobs.kubernetes import DEFAULT_IMAGE
from platformctl.jobs.model import Policy, Priority, User
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """

    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
    users: list[UserEntry]
    groups: list[GroupEntry] = []
    slurm: SlurmEntry | None = None
    script_image: str = DEFAULT_IMAGE
    workers: Annotated[int, Field(ge=1, le=64)] = 32
    sweep_seconds: Annotated[float, Field(gt=0)] = 300.0
    lease: LeaseEntry | None = None
    grace_seconds: Annotated[float, Field(ge=0, le=300)] = 15.0
    health: str = "http://0.0.0.0:8080/healthz"
    priorities: dict[str, PriorityEntry] = {}
    routing: list[Rule] = []
    stage_paths: list[Annotated[str, Field(pattern=r"^(/[^/\x00-\x1f]+)+$")]] = []

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
        return Policy(priorities, tuple(self.stage_paths))


def load(path: Path) -> RouterConfig:
    """Read and check the file."""
    return RouterConfig.model_validate_json(path.read_bytes())
