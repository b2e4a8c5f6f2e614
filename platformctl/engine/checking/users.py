"""The site's users as the inventory and both schedulers have them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.engine import loading
from platformctl.engine.checking import leaving
from platformctl.engine.fleet import Fleet
from platformctl.site import accounts, disabled
from platformctl.site.role_defaults import default

ACTIVE, DISABLED, NEW, LEAVES, UNKNOWN = "active", "disabled", "not installed", "leaves", "unknown"


@dataclass(frozen=True)
class SiteUser:
    """A user. uid: None if the inventory has the user no more.

    state: one of the words above. slurm_jobs: in Slurm's queue; jobs: active Jobs of the platform; None if
    that scheduler does not answer, or the site has none.
    """

    name: str
    uid: int | None
    full_name: str
    groups: tuple[str, ...]
    account: str
    home: str
    state: str
    slurm_jobs: int | None
    jobs: int | None


@dataclass(frozen=True)
class Users:
    """All users. unknown: what did not answer, and why."""

    users: tuple[SiteUser, ...]
    unknown: dict[str, str]


async def read(fleet: Fleet) -> Users:
    """Ask both schedulers what they have of the users."""
    slurm, cluster = await leaving.said(fleet)
    failures = {"Slurm": slurm.failure, "Kubernetes": cluster.failure}
    found = tuple(_users(fleet, slurm, cluster))
    return Users(found, {service: why for service, why in failures.items() if why})


def _users(fleet: Fleet, slurm: leaving.Said, cluster: leaving.Said) -> Iterator[SiteUser]:
    variables = loading.evaluated(fleet).variables
    stopped = {str(name) for name in variables.get(disabled.VARIABLE) or []}
    home = accounts.homes(variables)
    present = {str(account["name"]): account for account in accounts.present(variables)}
    usual = str(variables.get("slurm_default_account") or default("slurm_default_account", str))
    for name in [*present, *sorted((slurm.known | cluster.known) - set(present))]:
        account: Mapping[str, Any] = present.get(name, {})
        yield SiteUser(
            name,
            int(account["uid"]) if account else None,
            str(account.get("full_name") or ""),
            tuple(account.get("groups") or ()),
            str(account.get("slurm_account") or usual) if account else "",
            f"{home}/{name}",
            _state(name, name in present, name in stopped, [slurm, cluster]),
            None if slurm.failure or not fleet.members("slurm_controller") else slurm.active.get(name, 0),
            None if cluster.failure else cluster.active.get(name, 0),
        )


def _state(name: str, wanted: bool, stopped: bool, answers: list[leaving.Said]) -> str:
    if not wanted:
        return LEAVES
    if stopped:
        return DISABLED
    if any(name in answer.known for answer in answers):
        return ACTIVE
    return UNKNOWN if any(answer.failure for answer in answers) else NEW
