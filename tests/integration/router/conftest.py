"""The API server with the job router's chart applied."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.control_plane import ControlPlane, start
from tests.integration.router.process import RouterProcess
from tests.integration.router.world import ROUTER, World, make_world
from tests.integration.router_chart import install_chart

VALUES = """
site: test
logs: {enabled: false}
# What the API server stores at most: some tests are about that.
storage: {jobsPerNamespace: 20000, textKiB: 1400}
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
  - {name: bob, uid: 10002, gid: 10002, groups: [20001], account: physics, home: /home/bob}
"""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    users = {"alice": "platform:users", "bob": "platform:users", ROUTER: "system:serviceaccounts"}
    with start(folder, users) as plane:
        install_chart(plane, folder, VALUES, "alice")
        yield plane


@pytest.fixture
async def world(control_plane: ControlPlane) -> AsyncIterator[World]:
    async with make_world(control_plane) as found:
        yield found


@pytest.fixture
async def router(control_plane: ControlPlane, world: World, tmp_path: Path) -> AsyncIterator[RouterProcess]:
    process = RouterProcess(control_plane, world, tmp_path)
    await process.start()
    yield process
    process.kill()
    assert process.process
    await process.process.wait()
