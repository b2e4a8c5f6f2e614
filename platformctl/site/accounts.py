"""The site's users and groups as the inventory names them: who is present, and where homes are."""

from collections.abc import Mapping
from typing import Any

from platformctl.site.role_defaults import default

USERS, GROUPS = "users_accounts", "users_groups"


def present(variables: Mapping[str, Any], kind: str = USERS) -> list[Mapping[str, Any]]:
    """The entries of USERS or GROUPS that should exist, in the order of the inventory."""
    return [entry for entry in variables.get(kind) or [] if entry.get("state", "present") == "present"]


def names(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the users who should exist."""
    return tuple(str(account["name"]) for account in present(variables))


def homes(variables: Mapping[str, Any]) -> str:
    """The folder of the home directories."""
    return str(variables.get("shared_home_path") or default("shared_home_path", str)).rstrip("/")
