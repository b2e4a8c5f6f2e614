"""A cluster of others, reached by its administrator's kubeconfig: charts stage, what reset finds, lock.

Helm is left out: without nodes no release becomes ready.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError, UnavailableError, from_kubeconfig
from platformctl.engine.cluster import charts, cluster_lock, uninstall
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import QUEUES
from tests.integration.control_plane import ADMIN, ControlPlane, start
from tests.integration.router_chart import install_chart

VALUES = """
site: test
logs: {enabled: false}
users: [{name: alice, uid: 10001, gid: 10001, groups: [], account: physics, home: /home/alice}]
"""
INDEX = {
    "images": {
        "ghcr.io/platformctl/job-router": {"tag": "1"},
        "ghcr.io/dask/dask-kubernetes-operator": {"tag": "1"},
    },
    "charts": {"job-router": {"path": "charts/a.tgz"}, "dask-operator": {"path": "charts/b.tgz"}},
}


class NoHelm:
    def __init__(self, *_: object) -> None:
        pass

    async def ensure(self, _: object) -> bool:
        return False


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    with start(folder, {"alice": "platform:users"}) as plane:
        install_chart(plane, folder, VALUES, "alice")
        asyncio.run(_until_served(plane))
        yield plane


async def _until_served(plane: ControlPlane) -> None:
    """Helm waits for its pods, which takes longer than the server needs to store a new kind."""
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig(ADMIN))) as root:
        for _ in range(100):
            with contextlib.suppress(UnavailableError, NotFoundError):
                await root.get(QUEUES)
                return
            await asyncio.sleep(0.1)
    raise AssertionError("queues are not served")


@pytest.fixture
def site(control_plane: ControlPlane, tmp_path: Path) -> Fleet:
    variables: dict[str, Any] = {
        "kubernetes_provider": "existing",
        "kubernetes_kubeconfig": str(control_plane.kubeconfig(ADMIN)),
        "slurm_rest_url": "https://slurm.example",
        "secret_slurm_jwt_key": "c2VjcmV0",
        "slurm_partitions": [{"name": "main", "default": True}],
    }
    return Fleet("test", tmp_path / "hosts.yml", {}, {}, variables)


async def test_the_charts_stage_changes_what_differs_and_reset_finds_it(
    control_plane: ControlPlane, site: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "Helm", NoHelm)
    assert (await uninstall.planned_removal(site)).nothing
    assert await charts.apply(site, INDEX) == ["queues"]
    assert await charts.apply(site, INDEX) == []
    async with KubernetesClient(from_kubeconfig(control_plane.kubeconfig(ADMIN))) as root:
        secret = await root.get("/api/v1/namespaces/platform-system/secrets/job-router-slurm")
    assert secret["data"] == {"jwt.key": "c2VjcmV0"}
    assert (await uninstall.planned_removal(site)).namespace


async def test_a_second_run_is_refused_while_the_first_holds_the_lease(site: Fleet) -> None:
    async with cluster_lock.hold(site, "install"):
        with pytest.raises(PlatformError, match="another run") as refused:
            async with cluster_lock.hold(site, "reset"):
                pass
        assert refused.value.code is ExitCode.REFUSED
    async with cluster_lock.hold(site, "reset"):
        assert (await cluster_lock.release(site)).endswith(": reset")
    assert await cluster_lock.release(site) == ""
