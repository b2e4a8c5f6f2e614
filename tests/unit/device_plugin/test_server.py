"""The device plugin against a kubelet that is played: real gRPC over unix sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from platformctl.device_plugin.faults import faulty
from platformctl.device_plugin.messages import CLASSES
from platformctl.device_plugin.offer import Offer
from platformctl.device_plugin.server import KUBELET, Plugin

# /dev/null and /dev/zero are devices of every machine that runs this.
OFFER = Offer("example.com/fpga", {"null": ("/dev/null",), "zero": ("/dev/zero",)}, ("/dev/full",))


class Kubelet:
    """Takes registrations, and asks plugins as the kubelet does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registered: asyncio.Queue[Any] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """From its start, at which it removes all sockets, to its end."""
        for path in self.folder.iterdir():
            path.unlink()
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._register, CLASSES["RegisterRequest"].FromString, CLASSES["Empty"].SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": handler}),)
        )
        server.add_insecure_port(f"unix:{self.folder / KUBELET}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)

    async def _register(self, request: Any, _context: Any) -> Any:
        self.registered.put_nowait(request)
        return CLASSES["Empty"]()

    async def next(self) -> Any:
        """The next registration."""
        return await asyncio.wait_for(self.registered.get(), 20)

    async def call(self, endpoint: str, method: str, request: Any, response: str) -> Any:
        """One answer of a plugin."""
        async with grpc.aio.insecure_channel(f"unix:{self.folder / endpoint}") as channel:
            call = channel.unary_unary(
                f"/v1beta1.DevicePlugin/{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=CLASSES[response].FromString,
            )
            return await call(request, timeout=10)

    @contextlib.asynccontextmanager
    async def watching(self, endpoint: str) -> AsyncIterator[Any]:
        """The stream of a plugin's lists."""
        async with grpc.aio.insecure_channel(f"unix:{self.folder / endpoint}") as channel:
            yield channel.unary_stream(
                "/v1beta1.DevicePlugin/ListAndWatch",
                request_serializer=CLASSES["Empty"].SerializeToString,
                response_deserializer=CLASSES["ListAndWatchResponse"].FromString,
            )(CLASSES["Empty"]())


@contextlib.asynccontextmanager
async def plugin(
    offer: Offer, folder: Path, devices: Path = Path("/dev"), health: Path = Path("/nowhere")
) -> AsyncIterator[None]:
    task = asyncio.create_task(Plugin(offer, folder, devices, health, 0.05).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def kubelet(tmp_path: Path) -> Kubelet:
    (tmp_path / "s").mkdir()
    return Kubelet(tmp_path / "s")


def states(answer: Any) -> dict[str, str]:
    return {device.ID: device.health for device in answer.devices}


async def test_a_plugin_registers_lists_and_gives_devices(kubelet: Kubelet) -> None:
    async with kubelet.running(), plugin(OFFER, kubelet.folder):
        request = await kubelet.next()
        assert (request.version, request.resource_name) == ("v1beta1", "example.com/fpga")
        async with kubelet.watching(request.endpoint) as lists:
            assert states(await lists.read()) == {"null": "Healthy", "zero": "Healthy"}
        asked = CLASSES["AllocateRequest"](
            container_requests=[CLASSES["ContainerAllocateRequest"](devices_ids=["zero"])]
        )
        answer = await kubelet.call(request.endpoint, "Allocate", asked, "AllocateResponse")
        given = answer.container_responses[0].devices
        assert [(one.host_path, one.container_path, one.permissions) for one in given] == [
            ("/dev/zero", "/dev/zero", "rw"),
            ("/dev/full", "/dev/full", "rw"),
        ]


async def test_the_kubelet_is_told_what_cdi_has_of_a_device(kubelet: Kubelet) -> None:
    offer = replace(OFFER, cdi={"zero": "example.com/fpga=1"})
    async with kubelet.running(), plugin(offer, kubelet.folder):
        endpoint = (await kubelet.next()).endpoint
        asked = CLASSES["AllocateRequest"](
            container_requests=[CLASSES["ContainerAllocateRequest"](devices_ids=["zero"])]
        )
        answer = await kubelet.call(endpoint, "Allocate", asked, "AllocateResponse")
        (given,) = answer.container_responses[0].cdi_devices
        assert given.name == "example.com/fpga=1"


async def test_an_unknown_device_is_refused(kubelet: Kubelet) -> None:
    async with kubelet.running(), plugin(OFFER, kubelet.folder):
        endpoint = (await kubelet.next()).endpoint
        asked = CLASSES["AllocateRequest"](
            container_requests=[CLASSES["ContainerAllocateRequest"](devices_ids=["sda"])]
        )
        with pytest.raises(grpc.aio.AioRpcError, match="sda is no device of this node"):
            await kubelet.call(endpoint, "Allocate", asked, "AllocateResponse")


async def test_a_device_that_goes_and_comes_back_is_told_without_a_restart(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    seen = tmp_path / "dev"
    seen.mkdir()
    for name in ("null", "zero"):
        (seen / name).symlink_to(f"/dev/{name}")
    async with kubelet.running(), plugin(OFFER, kubelet.folder, seen):
        endpoint = (await kubelet.next()).endpoint
        async with kubelet.watching(endpoint) as lists:
            await lists.read()
            (seen / "zero").unlink()
            assert states(await lists.read()) == {"null": "Healthy", "zero": "Unhealthy"}
            (seen / "zero").symlink_to("/dev/zero")
            assert states(await lists.read()) == {"null": "Healthy", "zero": "Healthy"}
        assert kubelet.registered.empty()


async def test_a_faulty_device_is_told_and_so_is_its_return(kubelet: Kubelet, tmp_path: Path) -> None:
    health = tmp_path / "state.json"
    async with kubelet.running(), plugin(OFFER, kubelet.folder, health=health):
        endpoint = (await kubelet.next()).endpoint
        async with kubelet.watching(endpoint) as lists:
            await lists.read()
            health.write_text('{"faults": {"/dev/zero": "Xid 79"}, "reason": "as the host writes it"}')
            assert states(await lists.read()) == {"null": "Healthy", "zero": "Unhealthy"}
            health.write_text('{"faults": {}}')
            assert states(await lists.read()) == {"null": "Healthy", "zero": "Healthy"}
        assert kubelet.registered.empty()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"faults": 5}'])
def test_a_state_that_cannot_be_read_names_no_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert faulty(tmp_path / "state.json") == faulty(tmp_path / "none") == frozenset()


async def test_a_kubelet_that_restarts_finds_the_plugin_again(kubelet: Kubelet) -> None:
    async with plugin(OFFER, kubelet.folder):
        endpoints = []
        for _ in range(3):
            async with kubelet.running():
                endpoints.append((await kubelet.next()).endpoint)
                async with kubelet.watching(endpoints[-1]) as lists:
                    assert len(states(await lists.read())) == 2
        assert len(set(endpoints)) == 3


async def test_a_plugin_that_ends_leaves_no_socket(kubelet: Kubelet) -> None:
    async with kubelet.running():
        async with plugin(OFFER, kubelet.folder):
            await kubelet.next()
        assert [path.name for path in kubelet.folder.iterdir()] == [KUBELET]


async def test_shared_devices_are_spread(kubelet: Kubelet) -> None:
    shared = Offer("rdma/hca", OFFER.devices, holders=2)
    async with kubelet.running(), plugin(shared, kubelet.folder):
        request = await kubelet.next()
        assert request.options.get_preferred_allocation_available
        one = CLASSES["ContainerPreferredAllocationRequest"](
            available_deviceIDs=shared.ids(), allocation_size=2
        )
        asked = CLASSES["PreferredAllocationRequest"](container_requests=[one])
        answer = await kubelet.call(
            request.endpoint, "GetPreferredAllocation", asked, "PreferredAllocationResponse"
        )
        assert list(answer.container_responses[0].deviceIDs) == ["null::0", "zero::0"]
