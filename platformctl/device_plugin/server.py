"""Serves one offer to the kubelet, and registers it again whenever the kubelet has restarted.

The kubelet removes all sockets from its folder when it starts, and then knows no plugin. So a plugin whose
socket is gone, or that sees another socket of the kubelet, starts anew. Running containers keep their
devices meanwhile.
"""

import asyncio
import contextlib
import os
import stat
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import structlog

from platformctl.device_plugin.faults import faulty
from platformctl.device_plugin.messages import API_VERSION, CLASSES, HEALTHY, PACKAGE, UNHEALTHY
from platformctl.device_plugin.offer import Offer

KUBELET = "kubelet.sock"
_REGISTER = f"/{PACKAGE}.Registration/Register"
_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0

log = structlog.get_logger()


class Plugin:
    """The plugin of one offer.

    folder: of the sockets, the kubelet's among them. devices: where the host's /dev is seen. health: the
    file in which the host says which of its devices are faulty. seconds: between two looks at the devices,
    their health and the sockets.
    """

    def __init__(
        self, offer: Offer, folder: Path, devices: Path, health: Path, seconds: float = _SECONDS
    ) -> None:
        self._offer = offer
        self._folder = folder
        self._devices = devices
        self._state = health
        self._seconds = seconds
        self._health = self._look()
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Offer the devices until it is cancelled."""
        while True:
            try:
                await self._serve()
            except (grpc.aio.AioRpcError, OSError) as error:
                reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                log.warning(
                    "the kubelet takes no registration yet", resource=self._offer.resource, reason=reason
                )
                await asyncio.sleep(self._seconds)

    async def _serve(self) -> None:
        """Serve on a new socket, register, and return once the kubelet has forgotten it."""
        socket = self._folder / f"platformctl-{uuid.uuid4().hex[:12]}.sock"
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self._handlers(),))
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        try:
            kubelet = _identity(self._folder / KUBELET)
            await self._register(socket.name)
            log.info("registered", resource=self._offer.resource, devices=len(self._health))
            while socket.exists() and _identity(self._folder / KUBELET) == kubelet:
                await asyncio.sleep(self._seconds)
                await self._notice()
        finally:
            await server.stop(None)
            with contextlib.suppress(FileNotFoundError):
                socket.unlink()

    async def _register(self, endpoint: str) -> None:
        request = CLASSES["RegisterRequest"](
            version=API_VERSION,
            endpoint=endpoint,
            resource_name=self._offer.resource,
            options=CLASSES["DevicePluginOptions"](
                get_preferred_allocation_available=self._offer.holders > 1
            ),
        )
        async with grpc.aio.insecure_channel(f"unix:{self._folder / KUBELET}") as channel:
            call = channel.unary_unary(
                _REGISTER,
                request_serializer=CLASSES["RegisterRequest"].SerializeToString,
                response_deserializer=CLASSES["Empty"].FromString,
            )
            await call(request, timeout=_PATIENCE_SECONDS)

    async def _notice(self) -> None:
        """Look at the devices, and tell the kubelet if the health of one has changed."""
        found = self._look()
        if found == self._health:
            return
        for name in sorted(found):
            if found[name] != self._health[name]:
                log.info(
                    "healthy" if found[name] else "unhealthy", resource=self._offer.resource, device=name
                )
        async with self._changed:
            self._health = found
            self._changed.notify_all()

    def _look(self) -> dict[str, bool]:
        bad = faulty(self._state)
        return self._offer.healthy(lambda path: path not in bad and self._is_device(path))

    def _is_device(self, path: str) -> bool:
        try:
            mode = (self._devices / path.removeprefix("/dev/")).stat().st_mode
        except OSError:
            return False
        return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)

    def _handlers(self) -> Any:
        def unary(method: Any, request: str, response: str) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                method, CLASSES[request].FromString, CLASSES[response].SerializeToString
            )

        methods = {
            "GetDevicePluginOptions": unary(self._options, "Empty", "DevicePluginOptions"),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self._list_and_watch,
                CLASSES["Empty"].FromString,
                CLASSES["ListAndWatchResponse"].SerializeToString,
            ),
            "GetPreferredAllocation": unary(
                self._preferred, "PreferredAllocationRequest", "PreferredAllocationResponse"
            ),
            "Allocate": unary(self._allocate, "AllocateRequest", "AllocateResponse"),
            "PreStartContainer": unary(self._nothing, "Empty", "Empty"),
        }
        return grpc.method_handlers_generic_handler(f"{PACKAGE}.DevicePlugin", methods)

    async def _options(self, _request: Any, _context: Any) -> Any:
        return CLASSES["DevicePluginOptions"](get_preferred_allocation_available=self._offer.holders > 1)

    async def _list_and_watch(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        told: dict[str, bool] | None = None
        while True:
            told = await self._news(told)
            states = {True: HEALTHY, False: UNHEALTHY}
            listed = [CLASSES["Device"](ID=name, health=states[fine]) for name, fine in told.items()]
            yield CLASSES["ListAndWatchResponse"](devices=listed)

    async def _news(self, told: dict[str, bool] | None) -> dict[str, bool]:
        """The health of the devices, as soon as it is another than was told."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._health != told)
            return self._health

    async def _preferred(self, request: Any, _context: Any) -> Any:
        chosen = [
            self._offer.preferred(one.available_deviceIDs, one.must_include_deviceIDs, one.allocation_size)
            for one in request.container_requests
        ]
        made = [CLASSES["ContainerPreferredAllocationResponse"](deviceIDs=ids) for ids in chosen]
        return CLASSES["PreferredAllocationResponse"](container_responses=made)

    async def _allocate(self, request: Any, context: Any) -> Any:
        answers = []
        for one in request.container_requests:
            try:
                files = self._offer.files(one.devices_ids)
            except KeyError as error:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"{error.args[0]} is no device of this node")
            specs = [
                CLASSES["DeviceSpec"](container_path=path, host_path=path, permissions="rw") for path in files
            ]
            of_cdi = [CLASSES["CDIDevice"](name=name) for name in self._offer.cdi_names(one.devices_ids)]
            answers.append(CLASSES["ContainerAllocateResponse"](devices=specs, cdi_devices=of_cdi))
        return CLASSES["AllocateResponse"](container_responses=answers)

    async def _nothing(self, _request: Any, _context: Any) -> Any:
        return CLASSES["Empty"]()


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a socket from the next one at its path; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, as the path may vanish
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
