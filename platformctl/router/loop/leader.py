"""Leader election with a Lease of coordination.k8s.io: one process leads, the others are on standby.

The leader renews the lease. Another process takes it if it saw no change for the whole duration, by its own
clock. Every write carries the resourceVersion, so if two try, only one succeeds. A leader that could not
renew in time stops working before another one may start.

A process that was paused, and continues after its lease was taken, may still send one late request. So every
request must be safe in that case. For the router: each write to a Job carries the resourceVersion that the
decision was based on, only an id in the status is ever released, and releasing twice does nothing (see
platformctl.router).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    KubernetesClient,
    NotFoundError,
)
from platformctl.router.loop.metrics import LEADING

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Terms:
    """Seconds. A lease lasts for duration; the leader stops after patience without a renewal."""

    duration: int = 10
    patience: float = 7.0
    retry: float = 2.0


class Alone:
    """For a site with a single router: it always leads."""

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work until cancelled."""
        LEADING.set(1)
        await work()

    async def give_back(self) -> None:
        """Do nothing: there is no other process."""


class Election:
    """One candidate. identity: unique to the process, `POD_RANDOM`.

    If an earlier process of the same pod holds the lease, it is taken at once: that process is dead.
    """

    def __init__(
        self, client: KubernetesClient, namespace: str, name: str, identity: str, terms: Terms
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._terms = terms
        self._lease: dict[str, Any] = {}
        self._seen: tuple[str, float] = ("", 0.0)
        self._until = 0.0

    @property
    def leading(self) -> bool:
        """Whether this process certainly holds the lease."""
        return time.monotonic() < self._until

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the work while the lease is held, and cancel it when the lease is lost; until cancelled."""
        try:
            while True:
                await self._win()
                log.info("leading", lease=self._name, identity=self._identity)
                LEADING.set(1)
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(_run(work))
                    await self._keep()
                    task.cancel()
                LEADING.set(0)
                log.warning("the lease is lost, standing by", lease=self._name)
        finally:
            LEADING.set(0)

    async def give_back(self) -> None:
        """Release the lease, so that the next candidate starts at once; errors are ignored."""
        if not self.leading:
            return
        self._until = 0.0
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self._terms.retry):
                await self._write({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()})

    async def _win(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(self._terms.patience):
                    if await self._try():
                        self._until = begun + self._terms.patience
                        return
            except (ApiError, TimeoutError) as error:
                log.info("the lease was not taken", why=str(error) or "no answer")
            await asyncio.sleep(self._terms.retry * random.uniform(0.8, 1.2))  # noqa: S311

    async def _try(self) -> bool:
        """Take the lease if it is free or expired."""
        try:
            self._lease = await self._client.get(f"{self._collection}/{self._name}")
        except NotFoundError:
            with suppress(AlreadyExistsError):
                self._lease = await self._client.create(self._collection, self._new())
                return True
            return False
        spec = self._lease.get("spec") or {}
        if not self._free(spec):
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + 1
        await self._write(self._held() | {"acquireTime": _now(), "leaseTransitions": transitions})
        return True

    def _free(self, spec: dict[str, Any]) -> bool:
        holder = str(spec.get("holderIdentity") or "")
        version, now = self._lease["metadata"]["resourceVersion"], time.monotonic()
        if version != self._seen[0]:
            self._seen = (version, now)
        pod = self._identity.rpartition("_")[0]
        if holder in ("", self._identity) or (pod and holder.rpartition("_")[0] == pod):
            return True
        return now - self._seen[1] >= float(spec.get("leaseDurationSeconds") or self._terms.duration)

    async def _keep(self) -> None:
        """Renew until the lease is lost."""
        while True:
            await asyncio.sleep(self._terms.retry)
            begun = time.monotonic()
            try:
                async with asyncio.timeout(self._until - begun):
                    await self._write(self._held())
                self._until = begun + self._terms.patience
            except ConflictError:
                await self._after_conflict()
            except (ApiError, TimeoutError) as error:
                log.warning("the lease was not renewed", why=str(error) or "no answer")
            if not self.leading:
                return

    async def _after_conflict(self) -> None:
        """After a conflict: another process wrote the lease, or this one did and the answer was lost."""
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self._until - time.monotonic()):
                self._lease = await self._client.get(f"{self._collection}/{self._name}")
        if (self._lease.get("spec") or {}).get("holderIdentity") != self._identity:
            self._until = 0.0

    async def _write(self, spec: dict[str, Any]) -> None:
        version = {"resourceVersion": self._lease["metadata"]["resourceVersion"]}
        patch = {"metadata": version, "spec": spec}
        self._lease = await self._client.merge(f"{self._collection}/{self._name}", patch)

    def _new(self) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": self._held() | {"acquireTime": _now(), "leaseTransitions": 0},
        }

    def _held(self) -> dict[str, Any]:
        duration = self._terms.duration
        return {"holderIdentity": self._identity, "leaseDurationSeconds": duration, "renewTime": _now()}


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
