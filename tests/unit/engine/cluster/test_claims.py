"""Claims of homes that are being deleted hinder nobody who comes back."""

from typing import Any

import pytest

from platformctl.engine.cluster import claims
from platformctl.errors import PlatformError


class Cluster:
    """Claims and volumes; a claim without finalizers is gone, and its volume goes with it."""

    def __init__(self, *items: dict[str, Any], stuck: bool = False) -> None:
        self.claims, self.stuck = list(items), stuck
        self.patched: list[str] = []

    async def get(self, path: str) -> dict[str, Any]:
        if "volumeclaims" in path:
            return {"items": [{"metadata": item} for item in self.claims]}
        names = [{**item, "name": f"{item['name']}-default"} for item in self.claims]
        return {"items": [{"metadata": item} for item in names]}

    async def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        assert patch == {"metadata": {"finalizers": None}}
        self.patched.append(path)
        if not self.stuck:
            self.claims = [item for item in self.claims if not path.endswith(f"/{item['name']}")]
        return {}


def claim(uid: int, user: str, going: bool, name: str = "kfoundry-home-") -> dict[str, Any]:
    found = {"name": f"{name}{uid}", "namespace": "default", "annotations": {"kfoundry.io/user": user}}
    return found | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})


async def test_only_claims_of_users_who_are_there_and_that_go_are_let_go() -> None:
    cluster = Cluster(
        claim(1, "alice", going=True),
        claim(2, "bob", going=False),
        claim(3, "gone", going=True),
        claim(4, "alice", going=True, name="data-"),
    )
    path = "/api/v1/namespaces/default/persistentvolumeclaims/kfoundry-home-1"
    assert await claims.let_go(cluster, {"alice", "bob"}) == [path]  # type: ignore[arg-type]
    assert cluster.patched == [path]


async def test_what_does_not_go_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_PATIENCE_SECONDS", 0)
    with pytest.raises(PlatformError, match="kfoundry-home-1, kfoundry-home-1-default"):
        await claims.let_go(Cluster(claim(1, "alice", going=True), stuck=True), {"alice"})  # type: ignore[arg-type]
