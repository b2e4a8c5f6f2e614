"""What several families of checks need to know of a site: addresses, names, files and users."""

import ipaddress
import shlex
from collections.abc import Iterable

from platformctl.engine.fleet import Fleet, Host
from platformctl.site import accounts, disabled
from platformctl.site.role_defaults import default

KUBERNETES = ("kubernetes_control_plane", "kubernetes_node")
"""Groups whose hosts are nodes of Kubernetes."""


def authority(fleet: Fleet) -> str:
    """The file of the site's certificate authority on its hosts."""
    return f"/usr/local/share/ca-certificates/platformctl-{fleet.site}.crt"


def domain(fleet: Fleet) -> str:
    """The domain of the site's own names."""
    return str(fleet.variables.get("site_domain", fleet.site))


def port(host: Host, variable: str) -> int:
    """A port that the inventory may choose; otherwise the role's default."""
    return int(host.variables.get(variable) or default(variable, int))


def address(host: Host) -> str:
    """The address that the host's services use, as the roles choose it."""
    for name in ("kubernetes_kubelet_address", "base_address"):
        value = str(host.variables.get(name) or "")
        if value and "{{" not in value:
            return value
    return host.connection.address


def service_address(fleet: Fleet, number: int) -> str:
    """The address with this number in the network of services: 1 is the API's, 10 that of names.

    Empty where the inventory does not say the network.
    """
    network = str(fleet.variables.get("kubernetes_service_network") or "").split(",")[0].strip()
    return str(ipaddress.ip_network(network, strict=False)[number]) if "/" in network else ""


def user(fleet: Fleet) -> str:
    """The first user with access to the site; empty if there is none."""
    without = fleet.variables.get(disabled.VARIABLE) or ()
    return next((name for name in accounts.names(fleet.variables) if name not in without), "")


def as_user(name: str, command: str) -> str:
    """A shell command run by a user, in a folder that everybody may read."""
    return f"cd / && runuser -u {shlex.quote(name)} -- {command}"


def nodes(fleet: Fleet) -> list[Host]:
    """The nodes of Kubernetes, in inventory order."""
    names: Iterable[str] = {name for group in KUBERNETES for name in fleet.members(group)}
    return [host for host in fleet.hosts.values() if host.name in names]
