"""A lock in the cluster, of a site without hosts of its own or of one node that moves: a Lease with an owner.

Owner and times are those of host_lock.

Creating an object and changing it by its resourceVersion are atomic in the API. Its age is measured with this
machine's clock, so a lock can be taken from an owner whose clock is wrong by more than the lease.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    KubernetesClient,
    NotFoundError,
    from_document,
)
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.host_lock import BEAT_SECONDS, STALE_SECONDS, Owner
from platformctl.errors import ExitCode, PlatformError

# A namespace that every cluster has.
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
_NAME = "platformctl"
_OWNER = "platformctl.io/owner"
_TRIES = 3


@asynccontextmanager
async def hold(fleet: Fleet, command: str, name: str = _NAME) -> AsyncIterator[None]:
    """Hold the Lease of this name.

    PlatformError: REFUSED with the owner when it is held, UNREACHABLE without an API.
    """
    me = Owner.me(command)
    async with _client(fleet) as client:
        try:
            await _take(client, name, me)
        except ApiError as error:
            raise _no_answer(fleet, error) from error
        beat = asyncio.create_task(_beat(client, name))
        try:
            yield
        finally:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat
            with contextlib.suppress(ApiError):
                await _release(client, name, me)


async def release(fleet: Fleet) -> str:
    """Remove the Lease by hand; returns its holder, empty if there was none."""
    async with _client(fleet) as client:
        try:
            lease = await client.get(_path(_NAME))
            await client.delete(_path(_NAME), lease["metadata"]["uid"])
        except NotFoundError:
            return ""
        except ApiError as error:
            raise _no_answer(fleet, error) from error
        owner = _owner(lease)
        return owner.words if owner else "unknown"


@asynccontextmanager
async def _client(fleet: Fleet) -> AsyncIterator[KubernetesClient]:
    async with KubernetesClient(from_document(await access.admin_kubeconfig(fleet))) as client:
        yield client


async def _take(client: KubernetesClient, name: str, me: Owner) -> None:
    for _ in range(_TRIES):
        try:
            await client.create(_LEASES, _lease(name, me))
            return
        except AlreadyExistsError:
            pass
        try:
            held = await client.get(_path(name))
            owner, age = _owner(held), _age(held)
            if age < STALE_SECONDS and not (owner and owner.gone):
                raise host_lock.held(f"lease kube-system/{name}", owner, age)
            version = {"resourceVersion": held["metadata"]["resourceVersion"]}
            taken = _lease(name, me)
            await client.merge(_path(name), {**taken, "metadata": {**taken["metadata"], **version}})
            return
        except (NotFoundError, ConflictError):
            continue
    raise PlatformError(
        "the lock of this site changes hands all the time",
        where=f"lease kube-system/{name}",
        next="wait for the other runs to end",
        code=ExitCode.REFUSED,
    )


def _no_answer(fleet: Fleet, error: ApiError) -> PlatformError:
    if fleet.foreign_cluster:
        where = str(access.given_kubeconfig(fleet))
        then = f"kubectl --kubeconfig {where} get nodes"
    else:
        where = ", ".join(fleet.members("kubernetes_control_plane"))
        then = f"platformctl status -i {fleet.inventory}"
    return PlatformError(
        f"the cluster's API does not answer as it should, so nothing was done: {error}",
        where=where,
        next=then,
        code=ExitCode.UNREACHABLE,
    )


async def _beat(client: KubernetesClient, name: str) -> None:
    """Renew the Lease until cancelled. An API that does not answer is asked again later."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        with contextlib.suppress(ApiError):
            await client.merge(_path(name), {"spec": {"renewTime": _now()}})


async def _release(client: KubernetesClient, name: str, me: Owner) -> None:
    lease = await client.get(_path(name))
    owner = _owner(lease)
    if owner and owner.token == me.token:
        await client.delete(_path(name), lease["metadata"]["uid"])


def _lease(name: str, owner: Owner) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "annotations": {_OWNER: json.dumps(asdict(owner))}},
        "spec": {
            "holderIdentity": f"{owner.user}@{owner.machine}",
            "leaseDurationSeconds": STALE_SECONDS,
            "acquireTime": _now(),
            "renewTime": _now(),
        },
    }


def _path(name: str) -> str:
    return f"{_LEASES}/{name}"


def _owner(lease: dict[str, Any]) -> Owner | None:
    return Owner.read((lease["metadata"].get("annotations") or {}).get(_OWNER, ""))


def _age(lease: dict[str, Any]) -> int:
    renewed = lease["spec"].get("renewTime")
    if not renewed:
        return STALE_SECONDS
    return int((datetime.now(UTC) - datetime.fromisoformat(renewed)).total_seconds())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
