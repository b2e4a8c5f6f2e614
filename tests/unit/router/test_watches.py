"""Queues as the router sees them."""

from typing import Any

from platformctl.jobs.model import Queue
from platformctl.router import watches
from tests.unit.router.played import Played, play


async def test_queues_come_change_and_go() -> None:
    def queue(name: str, version: int, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}, "spec": spec}

    source = Played(
        [queue("short", 1, default=True), queue("wrong", 2, targets="nonsense")],
        ("MODIFIED", queue("short", 3, maxWalltime="1h")),
        ("ADDED", queue("long", 4)),
        ("DELETED", queue("long", 5)),
    )
    found: dict[str, Queue] = {}
    changes: list[int] = []
    await play(source, watches.of_queues(source, found, lambda: changes.append(len(found))))
    assert set(found) == {"short"}
    assert found["short"].max_walltime == 3600
    assert len(changes) == 5
