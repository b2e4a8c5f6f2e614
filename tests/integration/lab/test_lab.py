"""Real labs: booted, logged in to, two side by side, broken and repaired, and removed without a trace."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from platformctl import lab as labs
from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import apt_cache, firewall, network, podman, state
from tests.conftest import LabFactory, light_inventory

pytestmark = pytest.mark.lab
PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")


@pytest.fixture(scope="module")
def other(make_lab: LabFactory) -> labs.Lab:
    """A second lab beside the shared one, of one host with the same name."""
    return make_lab("h1")


def on(lab: labs.Lab, host: str, script: str) -> str:
    """What a shell script prints on a host, over ssh as the administrator."""
    command = lab.ssh_command(host, script)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_administrator_logs_in_and_becomes_root(lab: labs.Lab) -> None:
    assert on(lab, "h1", "id -un; sudo -n id -un; hostname").split() == ["ops", "root", "h1"]


def test_hosts_are_whole_debian_servers(lab: labs.Lab) -> None:
    for host in ("h1", "h2"):
        assert on(lab, host, "systemctl is-system-running --wait") == "running"
        assert on(lab, host, ". /etc/os-release; echo $ID $VERSION_ID") == "debian 13"
        assert on(lab, host, "sudo find /etc/apt -name '*roxy*' -o -name '99*'") == ""


def test_hosts_have_an_identity_of_their_own(lab: labs.Lab) -> None:
    for what in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_ed25519_key.pub"):
        assert on(lab, "h1", what) != on(lab, "h2", what)


def test_a_host_with_another_key_is_not_trusted(lab: labs.Lab, tmp_path: Path) -> None:
    known = (lab.state / "known_hosts").read_text()
    assert [line.split()[0] for line in known.splitlines()] == [f"{h.address},{h.name}" for h in lab.hosts]
    keys = [line.split(" ", 1)[1] for line in known.splitlines()]
    swapped = tmp_path / "known_hosts"
    swapped.write_text(known.replace(keys[0], keys[1]))
    program, *rest = lab.ssh_command("h1", "true")
    # The first value of an option counts.
    command = [program, "-o", f"UserKnownHostsFile={swapped}", *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Host key verification failed" in done.stderr


def test_home_is_shared_and_images_are_not(lab: labs.Lab) -> None:
    on(lab, "h1", "echo hello | sudo tee /home/shared /var/lib/containerd/own >/dev/null")
    assert on(lab, "h2", "cat /home/shared; sudo ls /var/lib/containerd") == "hello"
    on(lab, "h1", "sudo rm /home/shared /var/lib/containerd/own")


def test_up_again_is_quick_and_changes_nothing(lab: labs.Lab) -> None:
    before = podman.labelled(("ps", "--all"), lab.name)
    started = time.monotonic()
    again = labs.up(lab.name, Path((state.read(lab.name) or {})["source"]))
    assert time.monotonic() - started < 5
    assert again == lab
    after = podman.labelled(("ps", "--all"), lab.name)
    assert [host["StartedAt"] for host in after] == [host["StartedAt"] for host in before]


def test_packages_come_through_the_shared_cache(lab: labs.Lab, other: labs.Lab) -> None:
    source = on(lab, "h1", "awk '/^deb /{print $2; exit}' /etc/apt/sources.list")
    for one in (lab, other):
        proxy = f"http://{one.slot[1]}:{apt_cache.PORT}"
        fetch = (
            f"import urllib.request as r; o = r.build_opener(r.ProxyHandler({{'http': '{proxy}'}})); "
            f"print(o.open('{source}/dists/trixie/Release').read(14).decode())"
        )
        assert on(one, "h1", f'python3 -c "{fetch}"') == "Origin: Debian"
    assert (apt_cache.folder() / "packages" / str(urlsplit(source).hostname)).is_dir()


def test_traffic_to_pods_and_services_does_not_leave_the_machine(lab: labs.Lab, other: labs.Lab) -> None:
    """Counted by a table of the test's own: that of the labs is replaced whenever one comes or goes."""
    probe = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('{}', 9))"
    with counted_packets(lab.host("h1").address, port=9) as packets:
        for address in ("10.96.0.1", "10.244.1.1", other.host("h1").address):
            on(lab, "h1", f'python3 -c "{probe.format(address)}"')
        assert packets("arriving") == 3
        assert packets("leaving") == 1


@contextlib.contextmanager
def counted_packets(source: IPv4Address, port: int) -> Iterator[Callable[[str], int]]:
    """How many packets from a host to a UDP port arrive at the machine, and how many it sends on."""
    table = f"platformctl_test_{os.getpid()}"
    rule = f"ip saddr {source} udp dport {port} counter"
    text = f"""table inet {table} {{
      chain arriving {{ type filter hook prerouting priority -500; {rule}; }}
      chain leaving {{ type filter hook forward priority 500; {rule}; }}
    }}"""
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)

    def packets(chain: str) -> int:
        command = ["nft", "list", "chain", "inet", table, chain]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return int(listed[listed.index("packets") + 1])

    try:
        yield packets
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)


def test_strangers_do_not_reach_the_package_cache(lab: labs.Lab) -> None:
    """From a lab host, but with an address that is in no lab."""
    stranger = "203.0.113.200"
    on(lab, "h1", f"sudo ip address add {stranger}/32 dev eth0")
    probe = (
        "import socket; s = socket.socket(); s.settimeout(1); "
        f"s.bind(('{stranger}', 0)); print(s.connect_ex(('{lab.slot[1]}', {apt_cache.PORT})))"
    )
    assert on(lab, "h1", f'python3 -c "{probe}"') != "0"
    on(lab, "h1", f"sudo ip address del {stranger}/32 dev eth0")


def test_labs_side_by_side_are_apart(lab: labs.Lab, other: labs.Lab) -> None:
    assert not lab.slot.overlaps(other.slot)
    assert on(lab, "h1", "cat /etc/machine-id") != on(other, "h1", "cat /etc/machine-id")
    rejected = [*lab.ssh_command("h1")[:-1], f"ops@{other.hosts[0].address}", "true"]
    done = subprocess.run(rejected, capture_output=True, text=True, check=False)
    assert "Host key verification failed" in done.stderr


def test_a_stopped_host_does_not_hurt_the_others(lab: labs.Lab) -> None:
    podman.run("stop", "--time", "5", lab.host("h2").container)
    assert on(lab, "h1", "sudo systemctl restart cron && systemctl is-active cron") == "active"
    found = {row.host: row for row in labs.observe(lab)}
    assert found["h1"].state == "running"
    assert found["h1"].memory
    assert found["h2"].state == "exited"
    assert found["h2"].memory is None
    labs.up(lab.name, Path((state.read(lab.name) or {})["source"]))
    assert on(lab, "h2", "hostname") == "h2"


def test_another_inventory_for_an_existing_lab_is_refused(lab: labs.Lab, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="was made from another inventory") as refused:
        labs.up(lab.name, light_inventory(tmp_path / "inventory", ["h9"]))
    assert refused.value.code == ExitCode.REFUSED


@pytest.fixture
def killed_up(tmp_path: Path) -> Iterator[str]:
    """The name of a lab whose `up` was killed as soon as its network existed."""
    name = f"test-{os.getpid()}-killed"
    source = light_inventory(tmp_path / "inventory", ["h1", "h2"])
    process = subprocess.Popen(
        [PLATFORMCTL, "lab", "up", "--name", name, "-i", str(source)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not podman.labelled(("ps", "--all"), name) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    yield name
    labs.down(name)


def test_down_removes_what_a_killed_up_left(killed_up: str) -> None:
    assert labs.down(killed_up).things
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert podman.labelled(kind, killed_up) == []
    assert not state.folder(killed_up).exists()
    assert labs.find(killed_up) is None
    assert labs.down(killed_up).things == ()


def test_what_labs_share_stays_until_the_last_one_goes(lab: labs.Lab) -> None:
    assert lab.name in {found.lab for found in network.every()}
    assert firewall.present()
    assert apt_cache.running() is not None
    with socket.create_connection(("127.0.0.1", apt_cache.PORT), timeout=5):
        pass
    assert IPv4Network("10.244.0.0/16") in next(n for n in network.every() if n.lab == lab.name).inner


def test_the_command_line_shows_the_lab_and_names_a_missing_one(lab: labs.Lab) -> None:
    def platformctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PLATFORMCTL, *arguments], capture_output=True, text=True, check=False)

    shown = json.loads(platformctl("--output", "json", "lab", "status", "--name", lab.name).stdout)
    assert shown["inventory"] == str(lab.inventory)
    assert [(host["host"], host["state"]) for host in shown["hosts"]] == [
        ("h1", "running"),
        ("h2", "running"),
    ]
    table = platformctl("lab", "status", "--name", lab.name).stdout
    assert str(lab.hosts[0].address) in table
    missing = platformctl("lab", "status", "--name", "nosuch")
    assert missing.returncode == ExitCode.INVALID
    assert "platformctl lab up --name nosuch" in missing.stderr
    wrong = platformctl("lab", "shell", "h7", "--name", lab.name)
    assert wrong.returncode == ExitCode.INVALID
    assert "its hosts are: h1, h2" in wrong.stderr
