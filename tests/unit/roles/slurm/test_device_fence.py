"""The program that closes devices of Kubernetes to jobs of Slurm, on files that stand in for a host's."""

import os
import stat
from pathlib import Path

import pytest

from tests.ansible_files import load

fence = load("roles/slurm_node/files/device_fence.py")
NVIDIA3, NVIDIA0, CAP = ("c", 195, 3), ("c", 195, 0), ("c", 235, 21)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's root with the folders that the program finds."""
    (tmp_path / "run").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "dev").mkdir()
    devices = "Character devices:\n  1 mem\n195 nvidia\n\nBlock devices:\n  8 sd\n"
    (tmp_path / "proc/devices").write_text(devices)
    return tmp_path


def group(host: Path, name: str) -> str:
    """A file of the groups above all jobs, which both have."""
    texts = {_text(host / fence.CONTROLLER / one / name) for one in ("slurm", "slurm_n1")}
    assert len(texts) == 1
    return texts.pop()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_version_1_closes_each_device_above_all_jobs(host: Path) -> None:
    fence.close_v1(host, "n1", [NVIDIA3])
    assert group(host, "devices.deny") == "c 195:3 rwm"
    assert group(host, "devices.allow") == ""
    assert (host / fence.STATE).read_text() == "c 195:3 rwm\n"


def test_version_1_opens_what_was_closed_and_is_slurms_now(host: Path) -> None:
    fence.close_v1(host, "n1", [NVIDIA3, CAP])
    fence.close_v1(host, "n1", [CAP])
    assert group(host, "devices.allow") == "c 195:3 rwm"
    fence.close_v1(host, "n1", [])
    assert group(host, "devices.allow") == "c 235:21 rwm"
    assert (host / fence.STATE).read_text() == ""


def test_a_kill_after_closing_forgets_nothing(host: Path) -> None:
    (host / fence.CONTROLLER / "slurm/devices.deny").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        fence.close_v1(host, "n1", [NVIDIA3])
    (host / fence.CONTROLLER / "slurm/devices.deny").rmdir()
    fence.close_v1(host, "n1", [])
    assert group(host, "devices.allow") == "c 195:3 rwm"


def test_version_2_allows_all_but_the_closed_ones() -> None:
    named = {"c 1": "mem", "c 195": "nvidia", "c 235": "nvidia-caps", "b 8": "sd"}
    there = [("/dev/nvidia0", NVIDIA0), ("/dev/nvidia3", NVIDIA3), ("/dev/null", ("c", 1, 3))]
    assert fence.allowed([NVIDIA3], named, there) == [
        "block-sd rwm",
        "char-mem rwm",
        "char-nvidia-caps rwm",
        "/dev/nvidia0 rwm",
    ]


def test_version_2_writes_the_settings_of_the_scope_and_brings_them_into_effect(host: Path) -> None:
    commands = fence.close_v2(host, "n1", [NVIDIA3])
    text = (host / "run/systemd/system/n1_slurmstepd.scope.d/50-platformctl-devices.conf").read_text()
    assert text.startswith("[Scope]\nDevicePolicy=strict\nDeviceAllow=\n")
    assert "DeviceAllow=char-mem rwm\n" in text
    assert "nvidia" not in text
    assert [command[1] for command in commands] == ["daemon-reload", "set-property", "set-property"]
    assert commands[2][3:6] == ["n1_slurmstepd.scope", "DevicePolicy=strict", "DeviceAllow="]


def test_version_2_leaves_no_settings_when_nothing_is_closed(host: Path) -> None:
    fence.close_v2(host, "n1", [NVIDIA3])
    commands = fence.close_v2(host, "n1", [])
    assert not list(host.glob("run/systemd/system/*/*"))
    assert commands[-1][-1] == "DeviceAllow="


def test_numbers_of_devices(tmp_path: Path) -> None:
    assert fence.number(Path("/dev/null")) == ("c", 1, 3)
    assert fence.number(tmp_path) is None
    assert fence.number(tmp_path / "missing") is None


def test_devices_below_a_folder_are_found_without_links() -> None:
    found = dict(fence.devices(Path("/dev")))
    assert found["/dev/null"] == ("c", 1, 3)
    assert all(not Path(path).is_symlink() and not stat.S_ISREG(os.stat(path).st_mode) for path in found)  # noqa: PTH116


@pytest.mark.parametrize("version", [1, 2])
def test_the_program_finds_out_the_version(
    host: Path, version: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fence, "ROOT", host)
    ran: list[list[str]] = []
    done = fence.subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(fence.subprocess, "run", lambda command, **_: ran.append(command) or done)
    if version == 1:
        (host / fence.CONTROLLER).mkdir(parents=True)
    assert fence.main("n1", "/dev/null", "/dev/missing") == 0
    assert "/dev/missing is no device now" in capsys.readouterr().err
    assert bool(ran) == (version == 2)
    assert group(host, "devices.deny") == ("c 1:3 rwm" if version == 1 else "")
