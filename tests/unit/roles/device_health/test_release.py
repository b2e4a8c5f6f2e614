"""The end of the service: what it has set under both schedulers ends, or is named and kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths
from tests.unit.roles.device_health.package import module

service = module("service")
slurm = module("slurm")
UnansweredError = module("follower").UnansweredError
SETTINGS = {"node": "n1", "kubernetes": True}
ROLE = paths.data_dir() / "roles/device_health"


class Sides:
    """What each scheduler does when it hears that no device is faulty, and who has heard it."""

    def __init__(self, note: Path) -> None:
        self.note = note
        self.heard: list[str] = []
        self.ends: dict[str, float | Exception | None] = {}

    def node(self, side: str) -> Callable[..., Any]:
        sides = self

        class Node:
            def __init__(self, *_: object) -> None: ...

            def label(self, text: str) -> float | None:
                assert text == ""
                return None

            def bring(self, text: str) -> float | None:
                assert text == ""
                sides.heard.append(side)
                end = sides.ends.get(side)
                if isinstance(end, Exception):
                    raise end
                if side == "slurm" and end is None:
                    sides.note.unlink()
                return end

        return Node


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sides:
    note = tmp_path / "drain.json"
    note.write_text("{}")
    found = Sides(note)
    monkeypatch.setattr(service, "NOTE", note)
    monkeypatch.setattr(service.slurm, "Node", found.node("slurm"))
    monkeypatch.setattr(service.kubernetes, "Node", found.node("kubernetes"))
    return found


def test_both_sides_are_released(sides: Sides) -> None:
    assert service.release(SETTINGS) == []
    assert sides.heard == ["slurm", "kubernetes"]


def test_a_host_that_is_no_node_of_kubernetes_asks_slurm_alone(sides: Sides) -> None:
    assert service.release(SETTINGS | {"kubernetes": False}) == []
    assert sides.heard == ["slurm"]


@pytest.mark.parametrize("error", [UnansweredError("no answer"), OSError("no answer"), KeyError("status")])
def test_each_side_is_tried_whatever_the_other_does(sides: Sides, error: Exception) -> None:
    sides.ends = {"slurm": error, "kubernetes": UnansweredError("no API")}
    of_slurm, of_kubernetes, note = service.release(SETTINGS)
    assert of_slurm in ("Slurm: no answer", "Slurm: KeyError('status')")
    assert of_kubernetes == "Kubernetes: no API"
    assert str(sides.note) in note


def test_a_drain_of_a_node_that_is_down_is_left_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, stamp = "platformctl: device fault: a: gone", "root@2026-11-29T10:00:00"
    note = tmp_path / "drain.json"
    note.write_text(json.dumps({"reason": reason, "stamp": stamp, "before": ""}))
    said = f"NodeName=n1 Arch=x State=DOWN+DRAIN Owner=N/A Reason={reason} [{stamp}]\n"
    monkeypatch.setattr(service, "NOTE", note)
    monkeypatch.setattr(slurm, "_command", lambda _words: said)
    down, kept = service.release(SETTINGS | {"kubernetes": False})
    assert down == "Slurm: the node is down, and its drain ends when it is up"
    assert str(note) in kept
    assert note.exists()


def test_a_reset_keeps_what_ends_a_drain_that_is_left() -> None:
    # The play of a reset goes on after a task that failed.
    tasks = yaml.safe_load((ROLE / "tasks" / "reset.yml").read_text())
    (at,) = [at for at, task in enumerate(tasks) if "--release" in str(task)]
    name = tasks[at]["register"]
    assert len(tasks) > at + 1
    assert {task.get("when") for task in tasks[at + 1 :]} == {f"{name} is not failed"}
