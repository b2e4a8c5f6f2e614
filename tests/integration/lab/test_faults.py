"""Every fault does what it says, and is gone afterwards: also when the test fails, or the host dies."""

import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from platformctl import lab as labs
from platformctl.lab import faults

pytestmark = pytest.mark.lab

# Where a fault may leave traces.
_TRACES = """\
grep fault /proc/self/mounts
tc qdisc show dev eth0 | cut -d' ' -f2
cat /usr/lib/os-release /etc/ld.so.preload 2>/dev/null
ls /var/cache/apt/archives /etc/sudoers.d
ls -d /run/fault /run/skewed-clock.so 2>/dev/null
"""
_LASTING: dict[str, Callable[[labs.Lab], AbstractContextManager[None]]] = {
    "frozen": lambda lab: faults.frozen(lab, "h2"),
    "cut_off": lambda lab: faults.cut_off(lab, "h2"),
    "parted": lambda lab: faults.parted(lab, "h2", "h1"),
    "slow": lambda lab: faults.slow(lab, "h2"),
    "full_disk": lambda lab: faults.full_disk(lab, "h2"),
    "without_sudo": lambda lab: faults.without_sudo(lab, "h2"),
    "other_system": lambda lab: faults.other_system(lab, "h2", "ID=fedora\n"),
    "skewed_clock": lambda lab: faults.skewed_clock(lab, "h2", 60),
}


def answers(lab: labs.Lab, host: str, *remote: str) -> bool:
    """Whether a command works on a host over ssh, with little patience."""
    command = lab.ssh_command(host, *remote)
    command[1:1] = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"]
    try:
        return subprocess.run(command, capture_output=True, timeout=4, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def traces(lab: labs.Lab, host: str) -> str:
    """What faults could have left on a host, its firewall included."""
    container = lab.host(host).container
    found = subprocess.run(
        ["podman", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True
    )
    enter = ["nsenter", "--net", "--target", found.stdout.strip(), "nft", "list", "ruleset"]
    rules = subprocess.run(enter, capture_output=True, text=True, check=True).stdout
    return lab.exec(host, ["sh", "-c", _TRACES]).stdout + rules


@pytest.mark.parametrize("fault", [faults.killed, faults.frozen, faults.cut_off])
def test_a_host_that_is_gone_comes_back(lab: labs.Lab, fault: faults.HostFault) -> None:
    with fault(lab, "h2"):
        assert not answers(lab, "h2", "true")
        assert answers(lab, "h1", "true")
    assert answers(lab, "h2", "sudo -n true")


def test_a_slow_link_carries_what_it_says(lab: labs.Lab) -> None:
    def seconds(*remote: str, data: bytes = b"") -> float:
        start = time.monotonic()
        subprocess.run(lab.ssh_command("h2", *remote), input=data, capture_output=True, check=True)
        return time.monotonic() - start

    size = 50_000
    with faults.slow(lab, "h2", kilobits=400):
        # One second for the bytes alone, in either direction.
        assert seconds("head", "-c", str(size), "/dev/zero") > 1
        assert seconds("cat >/dev/null", data=bytes(size)) > 1


def test_a_full_disk_is_full(lab: labs.Lab) -> None:
    write = ["sh", "-c", "cd /var/cache/apt/archives && cp /etc/os-release probe && rm probe"]
    with faults.full_disk(lab, "h1"):
        assert "No space left on device" in lab.exec("h1", write).stderr
    assert lab.exec("h1", write).returncode == 0


def test_sudo_is_taken_away_and_given_back(lab: labs.Lab) -> None:
    with faults.without_sudo(lab, "h1"):
        assert answers(lab, "h1", "true")
        assert not answers(lab, "h1", "sudo -n true")
    assert answers(lab, "h1", "sudo -n true")


def test_another_system_is_announced(lab: labs.Lab) -> None:
    said = ["sh", "-c", ". /etc/os-release; echo $ID"]
    with faults.other_system(lab, "h1", "ID=fedora\nVERSION_ID=43\n"):
        assert lab.exec("h1", said).stdout == "fedora\n"
    assert lab.exec("h1", said).stdout == "debian\n"


@pytest.mark.parametrize("skew", [3600, -3600])
def test_a_skewed_clock_is_wrong_by_so_much_and_measures_time_well(lab: labs.Lab, skew: int) -> None:
    ask = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"

    def clocks() -> list[float]:
        return [float(word) for word in lab.exec("h1", ["python3", "-c", ask]).stdout.split()]

    before = time.monotonic()
    with faults.skewed_clock(lab, "h1", skew):
        *walls, timer = clocks()
        assert [wall - time.time() for wall in walls] == pytest.approx([skew, skew], abs=10)
        assert 0 <= timer - before < 10
        assert answers(lab, "h1", "sudo -n true")
    assert clocks()[0] == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize("name", _LASTING)
def test_a_fault_is_undone_and_named_when_the_test_fails(lab: labs.Lab, name: str) -> None:
    before = traces(lab, "h2")
    with pytest.raises(RuntimeError, match="the test failed") as failure, _LASTING[name](lab):
        raise RuntimeError("the test failed")
    (note,) = failure.value.__notes__
    assert note.startswith(f"fault: h2 of lab {lab.name} {name}")
    assert traces(lab, "h2") == before


@pytest.mark.parametrize("revived", [False, True])
def test_a_host_that_died_took_its_faults_with_it(lab: labs.Lab, revived: bool) -> None:
    before = traces(lab, "h2")
    faulty = ExitStack()
    for name in sorted(_LASTING.keys() - {"frozen"}):
        faulty.enter_context(_LASTING[name](lab))
    with faults.killed(lab, "h2"):
        if not revived:
            faulty.close()
    faulty.close()
    assert traces(lab, "h2") == before


def test_a_frozen_host_may_be_woken_by_others(lab: labs.Lab) -> None:
    with faults.frozen(lab, "h2"):
        subprocess.run(["podman", "unpause", lab.host("h2").container], check=True, capture_output=True)
        assert answers(lab, "h2", "true")
