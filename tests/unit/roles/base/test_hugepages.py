"""Huge pages: the kernel keeps what the inventory says, or nothing is changed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_files import load


class Kernel:
    """The files of a kernel that finds memory for so many pages of each size."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program: Any = load("roles/base/files/hugepages.py")
        self.folder, self.most = folder, 1000
        for name in ("kernel/mm/hugepages", "devices/system/node/node0/hugepages"):
            for size in ("2048", "1048576"):
                path = folder / name / f"hugepages-{size}kB"
                path.mkdir(parents=True)
                (path / "nr_hugepages").write_text("0\n")
        monkeypatch.setattr(self.program, "SYS", folder)
        monkeypatch.setattr(self.program, "WANTED", folder / "wanted.json")
        monkeypatch.setattr(self.program, "OURS", folder / "state/ours.json")
        monkeypatch.setattr(self.program, "COMPACT", folder / "compact")
        monkeypatch.setattr(self.program, "_write", self._write)
        monkeypatch.setattr(self.program, "_refuse_in_container", lambda _: None)

    def _write(self, path: Path, count: int) -> None:
        path.write_text(f"{min(count, self.most)}\n")

    def keep(self, *rows: dict[str, Any]) -> int:
        self.program.WANTED.write_text(json.dumps(rows))
        return int(self.program.main([]))

    def kept(self, size: str = "2048", node: str = "") -> int:
        where = f"devices/system/node/node{node}/hugepages" if node else "kernel/mm/hugepages"
        return int((self.folder / where / f"hugepages-{size}kB" / "nr_hugepages").read_text())


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def test_the_kernel_keeps_the_pages_and_says_so_once(
    kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ({"size": "2Mi", "count": 8}, {"size": "1Gi", "count": 2, "numa_node": 0})
    assert kernel.keep(*rows) == 0
    assert (kernel.kept(), kernel.kept("1048576", "0")) == (8, 2)
    assert capsys.readouterr().out.count("pages") == 4
    kernel.keep(*rows)
    assert capsys.readouterr().out == ""


def test_rows_that_are_gone_give_their_pages_back(kernel: Kernel) -> None:
    kernel.keep({"size": "2Mi", "count": 8}, {"size": "1Gi", "count": 2})
    kernel.keep({"size": "2Mi", "count": 4})
    assert (kernel.kept(), kernel.kept("1048576")) == (4, 0)
    assert kernel.program.main(["--give-back"]) == 0
    assert kernel.kept() == 0


def test_pages_of_others_stay(kernel: Kernel) -> None:
    (kernel.folder / "kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages").write_text("3")
    kernel.keep({"size": "2Mi", "count": 8})
    kernel.program.main(["--give-back"])
    assert kernel.kept("1048576") == 3


def test_too_little_memory_changes_nothing_and_says_what_to_do(kernel: Kernel) -> None:
    kernel.keep({"size": "2Mi", "count": 8})
    kernel.most = 10
    with pytest.raises(
        SystemExit, match=r"of 20 huge pages in .* memory for 10\. To do: start the host again"
    ):
        kernel.keep({"size": "1Gi", "count": 1}, {"size": "2Mi", "count": 20})
    assert (kernel.kept(), kernel.kept("1048576")) == (8, 0)


def test_a_size_or_a_node_that_the_host_does_not_have(kernel: Kernel) -> None:
    with pytest.raises(SystemExit, match="no such NUMA node"):
        kernel.keep({"size": "2Mi", "count": 1, "numa_node": 7})


def test_a_container_does_not_change_its_machine(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh: Any = load("roles/base/files/hugepages.py")
    monkeypatch.setattr(fresh, "SYS", kernel.folder)
    path = kernel.folder / "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    for code, refused in ((0, True), (1, False)):
        done = subprocess.CompletedProcess((), code)
        monkeypatch.setattr(fresh.subprocess, "run", lambda *_, _done=done, **__: _done)
        if refused:
            with pytest.raises(fresh.ShortError, match="this host is a container"):
                fresh._refuse_in_container(path)
        else:
            fresh._refuse_in_container(path)
