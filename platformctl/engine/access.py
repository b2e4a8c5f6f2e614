"""Ways into the site's Kubernetes API: the administrator's over ssh, and users' by certificates."""

import asyncio
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


async def user_kubeconfig(fleet: Fleet, user: str, namespace: str, days: int) -> dict[str, Any]:
    """A kubeconfig by which the cluster knows a user of the site, valid for `days`.

    Raises PlatformError (code INVALID) for a name that is not in the inventory's users_accounts.
    """
    host = fleet.first("kubernetes_control_plane")
    accounts = (host.variables.get("users_accounts") or []) if host else []
    names = sorted(str(account["name"]) for account in accounts)
    if user not in names:
        raise PlatformError(
            f"{user} is not a user of this site; its users are {', '.join(names) or 'none'}",
            where=f"{fleet.inventory}: users_accounts",
            next=f"add the user there, then: platformctl install -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
    admin = await admin_kubeconfig(fleet)
    return await asyncio.to_thread(kubeconfig.for_user, admin, user, namespace, days)
