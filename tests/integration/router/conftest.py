"""The API server with the job router's chart applied."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformctl.clients.kubernetes import KubernetesClient, UnavailableError, from_kubeconfig
from platformctl.paths import data_dir
from platformctl.router.resource import SUBMITTER, path
from tests.integration.control_plane import ADMIN, ControlPlane, program, start
from tests.integration.router.world import ROUTER, World, make_world

VALUES = """
site: test
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
"""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    users = {"alice": "platform:users", "bob": "platform:users", ROUTER: "system:serviceaccounts"}
    with start(folder, users) as plane:
        _install_chart(plane, folder)
        asyncio.run(_until_stamped(plane))
        yield plane


@pytest.fixture
async def world(control_plane: ControlPlane) -> AsyncIterator[World]:
    async with make_world(control_plane) as found:
        yield found


def _install_chart(plane: ControlPlane, folder: Path) -> None:
    helm, kubectl = program("helm"), program("kubectl")
    values = folder / "values.yaml"
    values.write_text(VALUES)
    chart = data_dir() / "charts" / "job-router"
    rendered = subprocess.run(
        [helm, "template", "job-router", chart, "--values", values], check=True, capture_output=True
    )
    subprocess.run(
        [kubectl, "--kubeconfig", plane.kubeconfig(ADMIN), "apply", "--server-side", "--wait", "-f", "-"],
        input=rendered.stdout,
        check=True,
    )


async def _until_stamped(plane: ControlPlane) -> None:
    """Definitions and policies hold a moment after they are stored."""
    body = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "probe-"},
        "spec": {"script": "#!/bin/sh\n"},
    }
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig("alice"))) as client:
        for _ in range(100):
            await asyncio.sleep(0.1)
            try:
                metadata = (await client.create(path("default"), body))["metadata"]
            except UnavailableError:
                continue
            await client.delete(path("default", metadata["name"]))
            if SUBMITTER in metadata.get("annotations", {}):
                return
    raise AssertionError("the submitter is not stamped")
