"""The charts of a site as one table: what each release is made of.

The stage table takes artefacts and variables from here, engine.cluster installs and removes the releases.
Values come from the inventory alone; nothing here asks a cluster.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from platformctl.engine import partitions
from platformctl.engine.fleet import Fleet
from platformctl.site import accounts, port_rules, rotations, secrets
from platformctl.site.extra import CLOSED
from platformctl.site.role_defaults import default

NAMESPACE = "platform-system"
NAMESPACES = (NAMESPACE, "platform-logs")
"""All that the charts make; the second is that of the logs API, which is part of the job router's chart."""

SLURM_KEY_SECRET = "job-router-slurm"  # noqa: S105 - the name of a Secret


@dataclass(frozen=True)
class ChartRelease:
    """One row of the table.

    name: of the release, of its folder below charts/ and of the packaged chart among the artefacts. values:
    what the inventory makes of it. images: the image of the catalogue to name under a key of the values.
    variables: the site's variables that `values` reads.
    """

    name: str
    values: Callable[[Fleet], Mapping[str, Any]] = lambda _: {}
    images: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()


def _job_router(fleet: Fleet) -> dict[str, Any]:
    """The site's users and its Slurm."""
    variables = fleet.variables
    values: dict[str, Any] = {
        "site": fleet.site,
        "users": _users(variables),
        "disabledUsers": list(variables.get("users_disabled") or []),
        "groups": _groups(variables),
        "slurm": _slurm(fleet),
        "slurmOptions": _slurm_options(variables),
        "templates": _templates(variables),
        **_job_limits(variables),
        "network": _network(fleet),
    }
    if resources := partitions.resources(fleet):
        values["templates"] |= {"devices": resources}
    if variables.get("shared_home_kubernetes", default("shared_home_kubernetes", bool)):
        values["home"] = {"path": accounts.homes(variables)}
    return values


def _job_limits(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What Jobs may have on Kubernetes and take of etcd; what is absent keeps the chart's default."""
    decided = variables.get("kubernetes_job_limits") or {}
    found: dict[str, Any] = {}
    for name, path in _OF_LIMITS.items():
        if name in decided:
            here = found
            for part in path[:-1]:
                here = here.setdefault(part, {})
            here[path[-1]] = decided[name]
    return found


_OF_LIMITS = {
    "array_at_once": ("kubernetes", "arrayAtOnce"),
    "per_user": ("kubernetes", "limits", "perUser"),
    "per_account": ("kubernetes", "limits", "perAccount"),
    "per_namespace": ("storage", "jobsPerNamespace"),
    "text_kib": ("storage", "textKiB"),
}


def _network(fleet: Fleet) -> dict[str, Any]:
    """What pods of users may connect to: the API server's hosts, and which networks are not the internet."""
    variables = fleet.variables

    def given(name: str) -> list[str]:
        return [text for part in str(variables.get(name) or "").split(",") if (text := part.strip())]

    def hosts(group: str) -> list[str]:
        members = [fleet.hosts[name] for name in fleet.members(group)]
        named = [
            {
                "ansible_host": host.connection.address,
                **{name: host.variables[name] for name in port_rules.ADDRESSES if name in host.variables},
            }
            for host in members
        ]
        return [each for variables in named for each in port_rules.addresses(variables)]

    return {
        "api": port_rules.networks(hosts("kubernetes_control_plane")),
        "internet": bool(variables.get("kubernetes_network_internet", True)),
        "closed": port_rules.networks(
            [
                *given("kubernetes_pod_network"),
                *given("kubernetes_service_network"),
                *hosts("all"),
                *variables.get("kubernetes_network_closed", CLOSED),
            ]
        ),
    }


def _slurm(fleet: Fleet) -> dict[str, Any]:
    """The slurmrestd for Jobs: the site's own, or one elsewhere."""
    variables = fleet.variables
    if not fleet.has_slurm:
        return {"enabled": False}
    rest_host = fleet.first("slurm_rest")
    if rest_host is None:
        address = {
            "address": str(variables["slurm_rest_url"]).rstrip("/"),
            "certificateAuthority": str(variables.get("slurm_rest_certificate_authority", "")),
        }
    else:
        port = rest_host.variables.get("slurm_rest_port") or default("slurm_rest_port", int)
        address = {
            "address": f"https://rest.{variables['site_domain']}:{port}",
            "hostAddress": str(rest_host.variables.get("base_address") or rest_host.connection.address),
            "certificateAuthority": "".join(rotations.trusted(secrets.CA_CERTIFICATE, variables)),
        }
    key = str(variables.get(rotations.JWT_KEY, ""))
    return {"enabled": True, "keySecret": SLURM_KEY_SECRET, "keyDigest": _slow_digest(key), **address}


def _slurm_options(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the site decides about the fields of slurm in Jobs. All homes are on the shared file system."""
    decided = variables.get("slurm_job_options") or {}
    kept = {name: value for name, value in decided.items() if name not in _OF_TEMPLATES}
    return {**kept, "folders": [accounts.homes(variables), *(decided.get("folders") or [])]}


_OF_TEMPLATES = {
    "node_features": "nodeFeatures",
    "claim_folders": "claimFolders",
    "secrets": "slurmSecrets",
}


def _templates(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What parts of pod templates mean on Slurm."""
    decided = variables.get("slurm_job_options") or {}
    return {value: decided[name] for name, value in _OF_TEMPLATES.items() if name in decided}


def _slow_digest(key: str) -> str:
    """What tells a key from another and is no help in guessing it."""
    return hashlib.scrypt(key.encode(), salt=SLURM_KEY_SECRET.encode(), n=2**12, r=8, p=1, dklen=16).hex()


def _users(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inventory's users as the router knows them; a user's own group has the user's number."""
    gids = {group["name"]: group["gid"] for group in variables.get("users_groups") or []}
    home = accounts.homes(variables)
    return [
        {
            "name": account["name"],
            "uid": account["uid"],
            "gid": account["uid"],
            "groups": [gids[name] for name in account.get("groups") or [] if name in gids],
            "account": account.get("slurm_account"),
            "home": f"{home}/{account['name']}",
        }
        for account in accounts.present(variables)
    ]


def _groups(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inventory's groups, for their names."""
    return [
        {"name": group["name"], "gid": group["gid"]} for group in accounts.present(variables, accounts.GROUPS)
    ]


# In the order in which they are removed.
RELEASES: tuple[ChartRelease, ...] = (
    ChartRelease(
        "job-router",
        _job_router,
        images={"image": "ghcr.io/platformctl/job-router"},
        variables=(
            "site_name",
            "site_domain",
            "users_accounts",
            "users_disabled",
            "users_groups",
            "shared_home_path",
            "shared_home_kubernetes",
            "slurm_rest_url",
            "slurm_rest_certificate_authority",
            "slurm_job_options",
            "kubernetes_job_limits",
            "kubernetes_pod_network",
            "kubernetes_service_network",
            "kubernetes_network_internet",
            "kubernetes_network_closed",
            *port_rules.ADDRESSES,
            "secret_site_ca_certificate",
            "secret_site_ca_certificate_next",
            "secret_site_ca_certificate_previous",
            "secret_slurm_jwt_key",
        ),
    ),
    ChartRelease("dask-operator", images={"image": "ghcr.io/dask/dask-kubernetes-operator"}),
)

ARTIFACTS = tuple(
    dict.fromkeys(name for release in RELEASES for name in (release.name, *release.images.values()))
)
"""The charts and images of all releases, by their names among the artefacts."""

VARIABLES = tuple(dict.fromkeys(name for release in RELEASES for name in release.variables))
"""The site's variables that the values of any release are made from."""
