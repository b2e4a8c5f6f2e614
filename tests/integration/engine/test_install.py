"""The engine on real hosts: what is done once, what again, and what a failing host does to others."""

from pathlib import Path
from typing import Any

import pytest

from platformctl import lab as labs
from platformctl.lab import faults
from tests.integration.engine import tiny
from tests.integration.engine.conftest import Script

Place = tuple[Path, Path]


def finished(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert events[-1]["event"] == "finished"
    return events[-1]


def started(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Hosts by stage that was started."""
    return {event["stage"]: event["hosts"] for event in events if event["event"] == "stage_started"}


def ends(events: list[dict[str, Any]], host: str) -> dict[str, dict[str, Any]]:
    """How each stage ended on a host."""
    return {e["stage"]: e for e in events if e["event"] == "host" and e["host"] == host}


def add(inventory: Path, text: str) -> None:
    with (inventory / "group_vars" / "all" / "base.yml").open("a") as file:
        file.write(text)


def test_the_second_run_does_nothing_and_a_change_only_what_it_must(site: Place) -> None:
    inventory, data = site
    first = finished(tiny.install(inventory, data))
    assert (first["changed"], first["failed"], first["unreachable"]) == (3, 0, 0)

    second = tiny.install(inventory, data)
    assert started(second) == {}
    assert finished(second)["seconds"] < 3

    add(inventory, "\nbase_apt_cache_valid_time: 77\n")
    third = tiny.install(inventory, data)
    assert set(started(third)) == {"preflight", "second"}
    assert finished(third)["changed"] == 3

    (inventory / "host_vars").mkdir(exist_ok=True)
    (inventory / "host_vars" / "node1.yml").write_text("base_apt_cache_valid_time: 78\n")
    fourth = tiny.install(inventory, data)
    (inventory / "host_vars" / "node1.yml").unlink()
    assert started(fourth) == {"preflight": ["node1"], "second": ["node1"]}


def test_a_failing_host_is_named_and_the_others_go_on(site: Place, on: Script) -> None:
    inventory, data = site
    on("node1", "mkdir -p /var/tmp/tiny/first/in/the/way")
    events = tiny.install(inventory, data, code=1)
    end = ends(events, "node1")
    assert end["first"]["status"] == "failed"
    assert end["first"]["task"] == "first : Write a file"
    assert end["first"]["retry"] == f"platformctl install -i {inventory} --limit node1"
    assert end["second"]["status"] == "blocked"
    assert started(events)["second"] == ["ctl1", "node2"]
    assert started(events)["beside"] == ["ctl1", "node1", "node2"]

    on("node1", "rm -r /var/tmp/tiny/first")
    again = tiny.install(inventory, data, "node1")
    assert started(again) == {"preflight": ["node1"], "first": ["node1"], "second": ["node1"]}


def test_a_full_disk_is_called_so(site: Place, lab: labs.Lab) -> None:
    inventory, data = site
    with faults.full_disk(lab, "node1", "/var/tmp/tiny"):
        events = tiny.install(inventory, data, code=1)
    assert "the disk of this host is full" in ends(events, "node1")["first"]["message"]


def test_secrets_stay_out_of_journal_logs_and_events(site: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from platformctl.engine.loading import load

    inventory, data = site
    monkeypatch.setenv(tiny.VERBOSITY, "4")
    events = tiny.install(inventory, data)
    folder = Path(events[0]["journal"])
    written = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert any("the key is" in text for text in written.values()), "the canary was not printed at all"
    for secret in load(inventory).secrets:
        assert len(secret) > 8
        for path, text in written.items():
            assert secret not in text, path
        assert secret not in str(events)
