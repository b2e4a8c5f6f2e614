"""Hosts that go away, runs that are killed, and two runs at once."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl import lab as labs
from platformctl.lab import faults
from tests.integration.engine import tiny
from tests.integration.engine.conftest import Script
from tests.integration.engine.test_install import Place, ends, finished, started


def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)


def at_work(on: Script) -> bool:
    return "yes" in on("node2", "[ -e /var/tmp/tiny/at-work ] && echo yes || true")


def ansible_processes(folder: Path) -> list[str]:
    """Processes of this machine whose command line names the data folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "ansible-playbook" in command and str(folder) in command:
            found.append(command)
    return found


def test_a_host_that_is_down_is_named_and_done_when_it_is_back(site: Place, lab: labs.Lab) -> None:
    inventory, data = site
    with faults.killed(lab, "node2"):
        events = tiny.install(inventory, data, code=4)
    assert (finished(events)["changed"], finished(events)["unreachable"]) == (2, 1)
    (end,) = ends(events, "node2").values()
    assert end["status"] == "unreachable"
    assert end["retry"].endswith("--limit node2")

    again = tiny.install(inventory, data)
    assert set(map(tuple, started(again).values())) == {("node2",)}


def test_kill_9_leaves_nothing_running_and_the_next_run_converges(site: Place, on: Script) -> None:
    inventory, data = site
    on("node2", "echo 30 > /var/tmp/tiny/seconds")
    process = tiny.start(inventory, data)
    wait(lambda: at_work(on))
    process.kill()
    process.wait()
    wait(lambda: not ansible_processes(data), seconds=5)

    on("node2", "rm /var/tmp/tiny/seconds")
    events = tiny.install(inventory, data)
    assert started(events)["second"] == ["ctl1", "node1", "node2"]
    assert "first" not in started(events)
    assert any("did not end well" in event.get("message", "") for event in events)
    assert started(tiny.install(inventory, data)) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_playbook_and_gives_the_lock_back(
    site: Place, on: Script, number: signal.Signals
) -> None:
    inventory, data = site
    on("node2", "echo 30 > /var/tmp/tiny/seconds")
    process = tiny.start(inventory, data)
    wait(lambda: at_work(on))
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"{number.name} ended the run" in said
    assert ansible_processes(data) == []
    assert "lock" not in on("ctl1", "ls /var/lib/platformctl")


def test_the_second_of_two_runs_says_who_is_at_work(site: Place, on: Script) -> None:
    inventory, data = site
    on("node2", "echo 8 > /var/tmp/tiny/seconds")
    first = tiny.start(inventory, data)
    wait(lambda: at_work(on))
    second = tiny.start(inventory, data)
    _, said = second.communicate(timeout=30)
    assert second.returncode == 3
    assert f"pid {first.pid}" in said
    assert "since 20" in said
    assert os.uname().nodename in said
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_hosts_without_sudo_or_with_another_system_are_left_out(site: Place, lab: labs.Lab) -> None:
    inventory, data = site
    fedora = 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n'
    with faults.without_sudo(lab, "node1"), faults.other_system(lab, "node2", fedora):
        events = tiny.install(inventory, data, code=4)
    (sudo,) = ends(events, "node1").values()
    assert "sudo" in sudo["message"]
    system = ends(events, "node2")["preflight"]
    assert "Fedora Linux 43: install Debian 13" in system["message"]
    assert started(events)["second"] == ["ctl1"]

    assert started(tiny.install(inventory, data))["second"] == ["node1", "node2"]


def test_a_host_that_loses_its_network_stops_alone(site: Place, lab: labs.Lab, on: Script) -> None:
    inventory, data = site
    on("node2", "echo 5 > /var/tmp/tiny/seconds")
    process = tiny.start(inventory, data)
    wait(lambda: at_work(on))
    with faults.cut_off(lab, "node2"):
        out, _ = process.communicate(timeout=150)
    assert process.returncode == 4, out
    events = [json.loads(line) for line in out.splitlines()]
    assert ends(events, "node2")["second"]["status"] == "unreachable"
    assert ends(events, "ctl1")["second"]["status"] == "changed"

    assert started(tiny.install(inventory, data))["second"] == ["node2"]


def test_an_installation_gets_there_over_a_slow_and_lossy_link(site: Place, lab: labs.Lab) -> None:
    inventory, data = site
    with faults.slow(lab, "node2", kilobits=1000):
        events = tiny.install(inventory, data, "node2")
    assert (finished(events)["changed"], finished(events)["unreachable"]) == (1, 0)
    assert {end["status"] for end in ends(events, "node2").values()} == {"ok", "changed"}
    assert started(tiny.install(inventory, data, "node2")) == {}
