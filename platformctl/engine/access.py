"""The administrator's way into the site's Kubernetes API, over the ssh that the installation uses."""

from typing import Any

from platformctl.clients import kubeconfig
from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError

_ADMIN = "/etc/kubernetes/admin.conf"


async def admin_kubeconfig(fleet: Fleet) -> dict[str, Any]:
    """The cluster's admin.conf, made to work from this machine; the API's certificate stays verified.

    Raises PlatformError when the site has no control plane, it cannot be reached, or it is not installed.
    """
    host = fleet.first("kubernetes_control_plane")
    if host is None:
        raise PlatformError(
            "this site has no Kubernetes control plane",
            where=f"{fleet.inventory}: group kubernetes_control_plane",
            code=ExitCode.INVALID,
        )
    reply = await remote.run(host.connection, f"cat {_ADMIN}", seconds=30)
    if reply.unreachable:
        raise PlatformError(
            f"{host.name} does not answer: {reply.message}",
            where=host.connection.address,
            next=f"platformctl preflight -i {fleet.inventory} --limit {host.name}",
            code=ExitCode.UNREACHABLE,
        )
    if reply.code != 0:
        raise PlatformError(
            f"Kubernetes is not installed on {host.name} yet: {reply.message}",
            where=f"{host.name}:{_ADMIN}",
            next=f"platformctl install -i {fleet.inventory}",
        )
    domain = host.variables.get("site_domain", fleet.site)
    return kubeconfig.for_operator(reply.out, host.connection.address, f"api.{domain}")
