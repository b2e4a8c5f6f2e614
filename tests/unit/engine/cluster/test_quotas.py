"""A quota of Jobs is counted as soon as the cluster knows their kind."""

from typing import Any

import pytest

from platformctl.engine.cluster import quotas


class Cluster:
    """Quotas; the controller counts one that changes after it has learnt of the kind of Jobs."""

    def __init__(self, learns_after: int, *names: str) -> None:
        self.learns_after = learns_after
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.hard = {name: {quotas.COUNTED: "20000"} for name in names}
        self.used: dict[str, dict[str, str]] = {}

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        assert query == {"fieldSelector": "metadata.name=kfoundry-jobs"}
        return {
            "items": [
                {
                    "metadata": {"name": "kfoundry-jobs", "namespace": name},
                    "spec": {"hard": hard},
                    "status": {"used": self.used.get(name, {})},
                }
                for name, hard in self.hard.items()
            ]
        }

    async def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        self.patches.append((path, patch))
        name = path.split("/")[4]
        for key, value in patch["spec"]["hard"].items():
            assert key != quotas.COUNTED
            if value is None:
                del self.hard[name][key]
            else:
                self.hard[name][key] = value
        if len(self.patches) > self.learns_after:
            self.used[name] = {quotas.COUNTED: "0"}
        return {}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_POLL_SECONDS", 0.01)


async def test_quotas_are_touched_until_they_are_counted_and_are_as_before() -> None:
    cluster = Cluster(5, "default", "team")
    assert await quotas.until_counted(cluster)  # type: ignore[arg-type]
    assert cluster.hard == {name: {quotas.COUNTED: "20000"} for name in ("default", "team")}
    assert set(cluster.used) == {"default", "team"}
    patched = len(cluster.patches)
    assert await quotas.until_counted(cluster)  # type: ignore[arg-type]
    assert len(cluster.patches) == patched


async def test_a_cluster_that_never_counts_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_PATIENCE_SECONDS", 0.05)
    assert not await quotas.until_counted(Cluster(10**6, "default"))  # type: ignore[arg-type]


async def test_a_site_without_quotas_waits_for_nothing() -> None:
    cluster = Cluster(0)
    assert await quotas.until_counted(cluster)  # type: ignore[arg-type]
    assert cluster.patches == []
