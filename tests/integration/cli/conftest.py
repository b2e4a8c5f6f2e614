"""The commands on Jobs against an API server with the job router's chart, as several people."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from platformctl.cli.main import app
from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from platformctl.vocabulary import job_path
from tests.integration.control_plane import ADMIN, ControlPlane, start
from tests.integration.router_chart import install_chart

ROUTER = "system:serviceaccount:default:job-router"
VALUES = """
site: test
logs: {enabled: false}
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
  - {name: bob, uid: 10002, gid: 10002, groups: [20002], account: biology, home: /home/bob}
"""

type Run = Callable[..., Result]
type Write = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    users = {"alice": "platform:users", "bob": "platform:users", ROUTER: "system:serviceaccounts"}
    with start(folder, users) as plane:
        install_chart(plane, folder, VALUES, "alice")
        yield plane


@pytest.fixture(autouse=True)
def _nobody_judges_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no router here whose first words a submission could wait for."""
    monkeypatch.setattr("platformctl.cli.job_wait._FIRST_SECONDS", 0.2)


@pytest.fixture
def run(control_plane: ControlPlane) -> Iterator[Run]:
    """Runs `platformctl job WORDS` as a person; removes all Jobs at the end."""

    def invoke(who: str, *words: str, text: str | None = None, json: bool = False) -> Result:
        environment = {"KUBECONFIG": str(control_plane.kubeconfig(who)), "COLUMNS": "200"}
        output = ("--output", "json") if json else ()
        return CliRunner().invoke(app, [*output, "job", *words], input=text, env=environment)

    yield invoke
    asyncio.run(_remove_all(control_plane))


@pytest.fixture
def write(control_plane: ControlPlane) -> Write:
    """Writes into a Job's status, as the router does."""

    def merge(name: str, status: dict[str, Any]) -> None:
        asyncio.run(write_status(control_plane, name, status))

    return merge


async def write_status(plane: ControlPlane, name: str, status: dict[str, Any]) -> None:
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig(ROUTER))) as client:
        await client.merge(f"{job_path('default', name)}/status", {"status": status})


async def _remove_all(plane: ControlPlane) -> None:
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig(ADMIN))) as client:
        for item in (await client.get(job_path("default")))["items"]:
            here = job_path("default", item["metadata"]["name"])
            await client.merge(here, {"metadata": {"finalizers": []}})
            await client.delete(here)
