"""Every fault does what it says, and is gone afterwards."""

import subprocess

import pytest

from platformctl import lab as labs
from platformctl.lab import faults

pytestmark = pytest.mark.lab


def answers(lab: labs.Lab, host: str, *remote: str) -> bool:
    """Whether a command works on a host over ssh, with little patience."""
    command = lab.ssh_command(host, *remote)
    command[1:1] = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"]
    try:
        return subprocess.run(command, capture_output=True, timeout=4, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.parametrize("fault", [faults.killed, faults.frozen, faults.cut_off])
def test_a_host_that_is_gone_comes_back(lab: labs.Lab, fault: faults.HostFault) -> None:
    with fault(lab, "h2"):
        assert not answers(lab, "h2", "true")
        assert answers(lab, "h1", "true")
    assert answers(lab, "h2", "sudo -n true")


def test_a_full_disk_is_full_and_then_as_before(lab: labs.Lab) -> None:
    before = lab.exec("h1", ["ls", "/var/cache/apt/archives"]).stdout
    write = ["sh", "-c", "cd /var/cache/apt/archives && cp /etc/os-release probe && rm probe"]
    with faults.full_disk(lab, "h1"):
        assert "No space left on device" in lab.exec("h1", write).stderr
    assert lab.exec("h1", write).returncode == 0
    assert lab.exec("h1", ["ls", "/var/cache/apt/archives"]).stdout == before


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


def test_a_fault_is_undone_when_the_test_fails(lab: labs.Lab) -> None:
    with pytest.raises(RuntimeError, match="the test failed"), faults.without_sudo(lab, "h1"):
        raise RuntimeError("the test failed")
    assert answers(lab, "h1", "sudo -n true")
