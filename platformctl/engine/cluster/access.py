"""Ways into the site's Kubernetes API: the administrator's over ssh, and users' by certificates."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from platformctl.clients import kubeconfig
from platformctl.engine import remote
from platformctl.engine.fleet import Connection, Fleet
from platformctl.errors import ExitCode, PlatformError

ADMIN = "/etc/kubernetes/admin.conf"


@dataclass(frozen=True)
class Kubectl:
    """Where kubectl runs as the cluster's administrator, and how it is called there. where: for people."""

    connection: Connection
    command: str
    where: str

    def function(self, seconds: int) -> str:
        """A shell function `kubectl` for scripts. seconds: timeout of each request."""
        return f'kubectl() {{ command {self.command} --request-timeout={seconds}s "$@"; }}'


@asynccontextmanager
async def kubectl(fleet: Fleet) -> AsyncIterator[Kubectl | None]:
    """The site's kubectl: on its control plane, or on this machine for an existing cluster.

    None: the site has no Kubernetes. Raises PlatformError when the inventory's kubeconfig is not usable.
    """
    host = fleet.first("kubernetes_control_plane")
    if host is not None:
        yield Kubectl(host.connection, f"kubectl --kubeconfig {ADMIN}", host.name)
    elif not fleet.foreign_cluster:
        yield None
    else:
        program = fleet.store / "bin" / "kubectl"
        if not program.is_file():
            raise PlatformError(
                "kubectl is not there",
                where=str(program),
                next=f"platformctl artifacts fetch -i {fleet.inventory}",
            )
        with kubeconfig.private_file(await admin_kubeconfig(fleet)) as path:
            command = shlex.join([str(program), "--kubeconfig", str(path)])
            # No sudo is needed: the credentials are in the file, which belongs to this user.
            yield Kubectl(Connection("", "root", local=True), command, "this machine")


def given_kubeconfig(fleet: Fleet) -> Path:
    """The kubeconfig of an existing cluster; a relative path is relative to the inventory."""
    given = Path(str(fleet.variables["kubernetes_kubeconfig"])).expanduser()
    return given if given.is_absolute() else fleet.folder / given


def _given_kubeconfig(fleet: Fleet) -> kubeconfig.Document:
    path = given_kubeconfig(fleet)
    try:
        return kubeconfig.of_file(path, str(fleet.variables.get("kubernetes_context") or ""))
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"the cluster's kubeconfig cannot be used: {error}",
            where=f"{path} (kubernetes_kubeconfig of {fleet.inventory})",
            next=f"kubectl --kubeconfig {path} get nodes",
            code=ExitCode.INVALID,
        ) from error


async def admin_kubeconfig(fleet: Fleet) -> kubeconfig.Document:
    """The cluster's admin.conf, made to work from this machine; the API's certificate stays verified.

    For an existing cluster, the kubeconfig that the inventory names. Raises PlatformError when the site
    has no control plane, it cannot be reached, or it is not installed.
    """
    if fleet.foreign_cluster:
        return await asyncio.to_thread(_given_kubeconfig, fleet)
    host = fleet.first("kubernetes_control_plane")
    if host is None:
        raise PlatformError(
            "this site has no Kubernetes control plane",
            where=f"{fleet.inventory}: group kubernetes_control_plane",
            code=ExitCode.INVALID,
        )
    reply = await remote.run(host.connection, f"cat {ADMIN}", seconds=30)
    if reply.unreachable or reply.denied:
        raise PlatformError(
            f"{host.name} {reply.refusal}",
            where=host.connection.address,
            next=f"platformctl preflight -i {fleet.inventory} --limit {host.name}",
            code=ExitCode.UNREACHABLE,
        )
    if reply.code != 0:
        raise PlatformError(
            f"Kubernetes is not installed on {host.name} yet: {reply.message}",
            where=f"{host.name}:{ADMIN}",
            next=f"platformctl install -i {fleet.inventory}",
        )
    domain = host.variables.get("site_domain", fleet.site)
    try:
        return kubeconfig.for_operator(reply.out, host.connection.address, f"api.{domain}")
    except ValueError as error:
        raise PlatformError(
            f"the administrator's kubeconfig is damaged: {error}",
            where=f"{host.name}:{ADMIN}",
            next=f"platformctl install -i {fleet.inventory} --stage kubernetes_control_plane --full",
        ) from error


async def user_kubeconfig(fleet: Fleet, user: str, namespace: str, days: int) -> kubeconfig.Document:
    """A kubeconfig for a user of the site, valid for `days`.

    Raises PlatformError (code INVALID) for a name that is not in the inventory's users_accounts.
    """
    accounts = fleet.variables.get("users_accounts") or []
    names = sorted(str(account["name"]) for account in accounts)
    if user not in names:
        raise PlatformError(
            f"{user} is not a user of this site; its users are {', '.join(names) or 'none'}",
            where=f"{fleet.inventory}: users_accounts",
            next=f"add the user there, then: platformctl install -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
    from platformctl.clients import certificates  # late: loads Kubernetes' client library

    admin = await admin_kubeconfig(fleet)
    return await asyncio.to_thread(certificates.user_kubeconfig, admin, user, namespace, days)
