"""The router's configuration: one JSON file, written by the chart from the site's inventory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from platformctl.jobs.kubernetes import DEFAULT_IMAGE
from platformctl.jobs.model import Policy, Priority, User
from platformctl.router.job.routing_rules import DEFAULT_RULES, Rule

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UserEntry(_Strict):
    """A site user: numeric ids as on every host. Root can not be one."""

    name: str
    uid: _Id
    gid: _Id
    groups: list[_Id] = []
    account: str | None = None
    home: str
    home_claim: str | None = None

    def user(self) -> User:
        """The user as translations need it."""
        return User(
            self.name, self.uid, self.gid, tuple(self.groups), self.account, self.home, self.home_claim
        )


class SlurmEntry(_Strict):
    """How to reach slurmrestd. key_file holds the site's JWT key; reader is whom reads are made as."""

    address: str
    key_file: Path
    ca_file: Path | None = None
    reader: str = "slurm"
    interval: Annotated[float, Field(gt=0, le=60)] = 1.0


class PriorityEntry(_Strict):
    """A class of priority that Jobs may name: what it is on each back end.

    nice: Slurm's, which puts a job back; only its operators may put one forward, and the router is none.
    """

    qos: str | None = None
    nice: Annotated[int, Field(ge=0, le=2**31 - 3)] = 0
    pod_priority_class: str | None = None

    def priority(self) -> Priority:
        """The class as translations need it."""
        return Priority(self.qos, self.nice, self.pod_priority_class)


class LeaseEntry(_Strict):
    """The Lease that one of several routers holds while it works."""

    namespace: str
    name: str


class RouterConfig(_Strict):
    """site marks the router's jobs in every back end; without slurm, Kubernetes is the only back end.

    lease: without one the process takes itself for the only router. grace_seconds: how long the reconciles in
    progress may take once the process is told to stop. health: host and port of /healthz, /readyz and
    /metrics. priorities: by the name that Jobs use. routing: see routing_rules; the shipped ones where it is
    empty. stage_paths: folders outside of homes that Jobs may stage files from and to.
    """

    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
    users: list[UserEntry]
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
        """Users by the name that the API server knows them by."""
        return {entry.name: entry.user() for entry in self.users}

    def rules(self) -> Sequence[Rule]:
        """The site's rules of routing, or the ones that are shipped."""
        return self.routing or DEFAULT_RULES

    def policy(self) -> Policy:
        """What the site lets its users ask for."""
        priorities = {name: entry.priority() for name, entry in self.priorities.items()}
        return Policy(priorities, tuple(self.stage_paths))


def load(path: Path) -> RouterConfig:
    """Read and check the file."""
    return RouterConfig.model_validate_json(path.read_bytes())
