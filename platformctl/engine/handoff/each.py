"""Work on several nodes at a time, each under a lock of its own in the cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from platformctl.clients.kubernetes import ApiError, KubernetesClient, from_document
from platformctl.engine.cluster import access, cluster_lock
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError

Work = Callable[[KubernetesClient, str], Awaitable[str]]
"""What is done with one node; returns in words how it ended."""


@dataclass(frozen=True)
class Ended:
    """How the work on one node ended, in words. next: what to do about an error."""

    name: str
    fine: bool
    words: str
    code: ExitCode = ExitCode.DONE
    next: str = ""


async def each(fleet: Fleet, names: Sequence[str], command: str, work: Work, at_once: int) -> list[Ended]:
    """Do the work on all nodes, at most so many at a time. A node whose work fails keeps no other one.

    command: in a few words, for whoever finds the lock held.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(name: str) -> Ended:
        async with slots:
            return await _ended(fleet, name, f"{command} {name}", work)

    return list(await asyncio.gather(*(one(name) for name in names)))


async def _ended(fleet: Fleet, name: str, command: str, work: Work) -> Ended:
    try:
        async with (
            cluster_lock.hold(fleet, command, f"platformctl-node-{name}"),
            KubernetesClient(from_document(await access.admin_kubeconfig(fleet))) as client,
        ):
            words = await work(client, name)
    except PlatformError as error:
        return Ended(name, False, error.what, error.code, error.next or "")
    except ApiError as error:
        again = f"platformctl status -i {fleet.inventory}; then the same command again"
        return Ended(name, False, f"the Kubernetes API refused: {error}", ExitCode.FAILED, again)
    return Ended(name, True, words)
