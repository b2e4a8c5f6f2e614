"""A small fleet: hosts that are their own, over real ssh, and an engine and Ansible that work on them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platformctl import lab as labs
from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import network, podman, state

pytestmark = pytest.mark.lab
SIZE = 20
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def fleet() -> Iterator[labs.Lab]:
    """A fleet of this process, removed at the end."""
    name = f"test-{os.getpid()}-fleet"
    try:
        yield labs.fleet(name, SIZE)
    finally:
        labs.down(name)


def on(lab: labs.Lab, host: str, script: str) -> str:
    """What a shell script prints on a host, over ssh as the administrator."""
    command = lab.ssh_command(host, script)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_hosts_have_name_identity_and_files_of_their_own(fleet: labs.Lab) -> None:
    first, last = fleet.hosts[0].name, fleet.hosts[-1].name
    for host in (first, last):
        assert on(fleet, host, f"hostname; cat /etc/hostname; echo {host} | sudo tee /usr/mine") == "\n".join(
            [host] * 3
        )
    # A later connection finds the same host.
    assert [on(fleet, host, "cat /usr/mine") for host in (first, last)] == [first, last]
    assert on(fleet, first, "cat /etc/machine-id") != on(fleet, last, "cat /etc/machine-id")
    assert on(fleet, first, "sudo -n id -u") == "0"
    # Not the processes of the others, which every host would otherwise look through.
    assert "systemd" not in on(fleet, first, "ps -e -o comm")
    assert int(on(fleet, first, "ps -e --no-headers | wc -l")) < 12


def test_the_engine_takes_them_for_hosts(fleet: labs.Lab) -> None:
    inventory = str(fleet.inventory)
    for command in ("validate", "preflight"):
        done = run("platformctl", command, "-i", inventory)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "calls itself" not in done.stdout
    planned = json.loads(run("platformctl", "--output", "json", "plan", "-i", inventory).stdout)
    base = {row["host"] for row in planned if row["stage"] == "base"}
    assert base == {host.name for host in fleet.hosts}


def test_ansible_copies_a_file_to_each_it_is_limited_to(fleet: labs.Lab) -> None:
    copy = ("-m", "ansible.builtin.copy", "-a", "dest=/etc/who content={{ inventory_hostname }}")
    hosts = [fleet.hosts[1], fleet.hosts[-1]]
    limit = ",".join(host.name for host in hosts)
    done = run("ansible", "all", "-i", str(fleet.inventory), "--limit", limit, *copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [on(fleet, host.name, "sudo cat /etc/who") for host in hosts] == [host.name for host in hosts]


def test_a_fleet_is_one_line_of_the_status(fleet: labs.Lab) -> None:
    (row,) = labs.observe(fleet)
    assert (row.host, row.state) == (f"n0000 to n{SIZE - 1:04} ({SIZE})", "running")
    assert labs.find(fleet.name) == fleet


def test_another_size_and_what_only_booted_hosts_have_are_refused(fleet: labs.Lab) -> None:
    with pytest.raises(PlatformError, match=f"a fleet of {SIZE} hosts") as refused:
        labs.fleet(fleet.name, SIZE + 1)
    assert refused.value.code == ExitCode.REFUSED
    with pytest.raises(PlatformError, match="was made from another inventory"):
        labs.up(fleet.name)
    with pytest.raises(PlatformError, match="can be reached only by ssh"):
        fleet.exec("n0001", ["true"])


def test_nothing_is_left_of_a_fleet() -> None:
    name = f"test-{os.getpid()}-gone"
    routed = network.IPv4Network(f"{labs.fleet(name, 3).hosts[0].address}/30", strict=False)
    assert labs.down(name).things
    assert podman.labelled(("ps", "--all"), name) == []
    assert not state.folder(name).exists()
    routes = subprocess.run(["ip", "route", "show", str(routed)], capture_output=True, check=True).stdout
    assert routes == b""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A finished program of this environment."""
    return subprocess.run([BIN / program, *arguments], capture_output=True, text=True, check=False)
