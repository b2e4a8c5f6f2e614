"""What makes a device faulty: its file, the kernel's log, its ports, a command of the site."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.device_health.package import module

checks = module("checks")
commands = module("commands")
gpus = module("gpus")
kernel_log = module("kernel_log")
ports = module("ports")
xids = module("xids")


@pytest.fixture
def hardware(tmp_path: Path) -> Path:
    """A root with two GPUs, an RDMA device of two ports, and the log."""
    for number, address in (("0", "0000:3b:00.0"), ("1", "0000:5e:00.0")):
        folder = tmp_path / "proc/driver/nvidia/gpus" / address
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: NVIDIA A100\nDevice Minor: \t {number}\n")
    verbs = tmp_path / "sys/class/infiniband_verbs/uverbs0"
    verbs.mkdir(parents=True)
    (verbs / "ibdev").write_text("mlx5_0\n")
    for port, state in (("1", "4: ACTIVE"), ("2", "1: DOWN")):
        folder = tmp_path / "sys/class/infiniband/mlx5_0/ports" / port
        folder.mkdir(parents=True)
        (folder / "state").write_text(f"{state}\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_text("")
    return tmp_path


def devices(folder: Path, *names: str) -> Path:
    """A folder with device files of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to("/dev/null")
    return folder


def found(
    hardware: Path, dev: Path, *rows: dict[str, Any], log: tuple[str, ...] = ()
) -> dict[str, str | None]:
    of_gpus = gpus.Gpus(hardware, xids.HARMLESS, {})
    of_gpus.hear(log)
    watched = [checks.device({"command": [], "slurm": True, "check": "files"} | row) for row in rows]
    result: dict[str, str | None] = checks.Checks(watched, of_gpus, hardware, dev).found()
    return result


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_missing_file_is_a_fault(hardware: Path, tmp_path: Path) -> None:
    dev = devices(tmp_path / "there", "xdma0")
    (dev / "xdma2").write_text("no device")
    rows = [{"files": [f"/dev/xdma{number}"]} for number in range(3)]
    missing = "its file is missing"
    assert found(hardware, dev, *rows) == {"/dev/xdma0": "", "/dev/xdma1": missing, "/dev/xdma2": missing}


def test_an_xid_is_the_fault_of_its_gpu_and_of_all_its_slices(hardware: Path, tmp_path: Path) -> None:
    dev = devices(tmp_path / "there", "nvidia0", "nvidia1", "cap1", "cap2")
    rows = [{"files": ["/dev/nvidia1", f"/dev/cap{number}"], "check": "xid"} for number in (1, 2)]
    line = "NVRM: Xid (PCI:0000:5e:00): 79, gone"
    told = found(hardware, dev, {"files": ["/dev/nvidia0"], "check": "xid"}, *rows, log=(line,))
    assert {file: why for file, why in told.items() if why} == {"/dev/nvidia1": "Xid 79, gone"}
    # Whoever asked for other checks is not told of Xids.
    assert not any(found(hardware, dev, {"files": ["/dev/nvidia1"]}, log=(line,)).values())


def test_the_first_xid_is_the_reason_and_the_file_may_vanish(hardware: Path, tmp_path: Path) -> None:
    row = {"files": ["/dev/nvidia1"], "check": "xid"}
    lines = ("NVRM: Xid (PCI:0000:5e:00): 48, ecc", "NVRM: Xid (PCI:0000:5e:00): 79, gone")
    assert found(hardware, tmp_path, row, log=lines) == {"/dev/nvidia1": "Xid 48, ecc"}


def test_a_gpu_comes_back_by_the_log_or_by_an_administrator(hardware: Path) -> None:
    of_gpus = gpus.Gpus(hardware, xids.HARMLESS, {"0000:3b:00": "Xid 79", "0000:5e:00": "Xid 48"})
    of_gpus.repaired("/dev/nvidia0")
    assert of_gpus.faults == {"0000:5e:00": "Xid 48"}
    of_gpus.hear(["NVRM: Xid (PCI:0000:5e:00): 154, changed from 0x1 (GPU Reset Required) to 0x0 (None)"])
    assert of_gpus.faults == {}
    of_gpus.hear(["NVRM: Xid (PCI:0000:5e:00): 79, gone", "NVRM: loading NVIDIA UNIX x86_64 Kernel Module"])
    assert of_gpus.faults == {}


def test_a_device_has_a_link_while_one_port_is_active(hardware: Path) -> None:
    file = "/dev/infiniband/uverbs0"
    assert ports.fault(hardware, file) == ""
    (hardware / "sys/class/infiniband/mlx5_0/ports/1/state").write_text("2: INIT\n")
    assert ports.fault(hardware, file) == "link down, port 1 is INIT, port 2 is DOWN (mlx5_0)"
    # What the kernel does not know is not judged.
    assert ports.fault(hardware, "/dev/infiniband/uverbs7") == ports.fault(hardware, "/dev/rdma") == ""


def test_each_record_of_the_log_is_read_once(hardware: Path) -> None:
    path = hardware / "dev/kmsg"
    log = kernel_log.KernelLog(path)
    assert log.news() == []
    path.write_text("6,0,100,-;first\n SUBSYSTEM=pci\n4,1,200,-;second;with more\n4,2,3")
    assert log.news() == ["first", "second;with more"]
    with path.open("a") as file:
        file.write("00,-;third\n")
    assert log.news() == ["third"]
    assert log.last == 2
    assert kernel_log.KernelLog(path, 1).news() == ["third"]
    assert kernel_log.KernelLog(hardware / "dev/none").news() == []


def test_records_that_were_lost_are_passed_over(hardware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [b"4,7,1,-;one\n", BrokenPipeError(), b"4,9,1,-;two\n", BlockingIOError()]

    def read(_file: int, _size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    log = kernel_log.KernelLog(hardware / "dev/kmsg")
    monkeypatch.setattr(os, "read", read)
    assert log.news() == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["true"], ""),
        (["sh", "-c", "echo 'temperature 104 C'; echo more; exit 1"], "temperature 104 C"),
        (["sh", "-c", "echo broken >&2; exit 1"], "broken"),
        (["false"], "false failed with 1"),
        (
            ["sh", "-c", r"printf 'Temp\303\251rature \351lev\351e'; exit 1"],
            "Temp\u00e9rature \ufffdlev\ufffde",
        ),
        (["sleep", "5"], "sleep did not end within 0 s"),
    ],
)
def test_a_command_of_the_site_judges(words: list[str], fault: str) -> None:
    assert commands.judge(words, 0.3 if words[0] == "sleep" else 5) == fault


def test_a_command_that_is_not_there_judges_nothing_and_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_EVERY_SECONDS", 0.01)
    one = commands.Command(["/no/such/program"], "/dev/xdma0")
    time.sleep(0.3)
    assert one.fault is None
    assert capsys.readouterr().err.count("health_command cannot be started") == 1


def test_a_command_is_run_again_whatever_went_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_EVERY_SECONDS", 0.01)
    answers: list[str | Exception] = [ValueError("embedded null byte"), "too hot"]

    def judge(*_: object) -> str:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(commands, "judge", judge)
    one = commands.Command(["check"], "/dev/xdma0")
    until(lambda: one.fault == "too hot")
    assert "ValueError('embedded null byte')" in capsys.readouterr().err


def test_a_command_is_told_the_file(hardware: Path, tmp_path: Path) -> None:
    dev = devices(tmp_path / "there", "xdma0")
    of_gpus = gpus.Gpus(hardware, (), {})
    row = {"files": ["/dev/xdma0"], "check": "command", "slurm": False}
    one = checks.device(row | {"command": ["sh", "-c", "echo $0; exit 1", "{file}"]})
    watched = checks.Checks([one], of_gpus, hardware, dev)
    until(lambda: watched.found() == {"/dev/xdma0": "/dev/xdma0"})


def test_a_command_that_no_signal_ends_is_a_fault_in_time_and_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As while it waits for a driver that hangs.
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    monkeypatch.setattr(commands, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(commands, "_EVERY_SECONDS", 0.01)
    hangs, started = tmp_path / "hangs", tmp_path / "started"
    hangs.touch()
    script = f"echo >> {started}; while test -e {hangs}; do sleep 0.05; done; exit 0"
    one = commands.Command(["sh", "-c", script], "/dev/xdma0")
    until(lambda: one.fault == "sh did not end within 0 s")
    time.sleep(0.5)
    assert (one.fault, started.read_text()) == ("sh did not end within 0 s", "\n")
    hangs.unlink()
    until(lambda: one.fault == "")


def test_a_command_is_killed_with_what_it_has_started(tmp_path: Path) -> None:
    number = tmp_path / "number"
    script = f"sleep 60 & echo $! > {number}; wait"
    assert commands.judge(["sh", "-c", script], 0.5) == "sh did not end within 0 s"
    # A zombie that nobody has waited for yet has no command line.
    line = Path("/proc", number.read_text().strip(), "cmdline")
    until(lambda: not line.exists() or not line.read_bytes())
