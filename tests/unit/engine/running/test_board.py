"""What a person sees of a run, on terminals of several widths."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from platformctl.console import Output
from platformctl.engine import graph
from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.running import durations
from platformctl.engine.running.board import Board
from platformctl.engine.running.progress import Lines, _sentence, view
from platformctl.engine.stages import STAGES

HOSTS = tuple(f"node{number:04}" for number in range(1000))
PLANNED = {
    "event": "planned",
    "stages": {
        stage.name: {
            "hosts": [LOCALHOST] if stage.group == LOCALHOST else list(HOSTS),
            "needs": [need.stage for need in stage.needs],
        }
        for stage in graph.ordered(STAGES)
        if stage.name != "artifacts"
    },
}


class Screen:
    """A board on a terminal, with a clock that the test moves."""

    def __init__(self, width: int, height: int = 40, encoding: str = "utf-8") -> None:
        self.now = 0.0
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        self.console = Console(
            width=width, height=height, file=file, force_terminal=True, record=True, soft_wrap=True
        )
        self.board = Board(self.console, durations.TYPICAL, _sentence, lambda: self.now)

    def show(self, *events: dict) -> "Screen":
        for event in events:
            self.board.show(event)
        return self

    @property
    def lines(self) -> list[str]:
        """The board as it is drawn."""
        self.console.export_text(clear=True)
        self.console.print(self.board.render())
        return [line.rstrip() for line in self.console.export_text(clear=True).splitlines()]

    def line(self, stage: str) -> str:
        (found,) = (line for line in self.lines if line.split()[1:2] == [stage])
        return found


def finished(stage: str, seconds: float = 1.0) -> dict:
    return {"event": "stage_finished", "stage": stage, "seconds": seconds}


def ended(stage: str, host: str, status: str) -> dict:
    return {"event": "host", "stage": stage, "host": host, "status": status, "task": "", "message": ""}


def busy(width: int) -> Screen:
    """A run in its middle: stages that are done, at work on many hosts, failed, and waiting."""
    screen = Screen(width).show(
        {"event": "stage_started", "stage": "artifacts", "hosts": [LOCALHOST]},
        ended("artifacts", LOCALHOST, "ok"),
        finished("artifacts"),
        PLANNED,
        {"event": "stage_started", "stage": "base", "hosts": HOSTS},
        *(ended("base", host, "changed") for host in HOSTS[1:]),
        ended("base", HOSTS[0], "unreachable"),
        finished("base", 754.0),
    )
    for stage in ("kubernetes_control_plane", "slurm_accounting"):
        task = "Install [the] packages of the control plane and hold them " * 3
        screen.show(
            {"event": "stage_started", "stage": stage, "hosts": HOSTS},
            {"event": "task", "stage": stage, "task": task},
            *({"event": "task_done", "stage": stage, "host": host} for host in HOSTS[:-1]),
        )
    screen.now = 3.0
    return screen


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_stage_has_one_line_that_fits(width: int) -> None:
    lines = busy(width).lines
    assert len(lines) == len(STAGES) + 1
    assert max(map(len, lines)) <= width
    names = [line.split()[1] for line in lines[:-1]]
    assert set(names) == {stage.name for stage in STAGES}, "a name is cut or wrapped"


@pytest.mark.parametrize("width", [60, 80])
def test_counts_and_times_are_whole_and_only_the_task_is_cut(width: int) -> None:
    screen = busy(width)
    assert screen.line("base").split() == ["✗", "base", "1/1000", "unreachable", "12:34"]
    going = screen.line("kubernetes_control_plane")
    assert "999/1000 hosts" in going
    assert " 0:03 " in going
    assert "~15 s" in going
    assert screen.line("slurm_rest").split() == ["·", "slurm_rest", "1000", "hosts", "~7", "s"]
    if width == 80:
        assert "Install" in going
        assert going.endswith("…")


@pytest.mark.parametrize("width", [60, 80])
def test_the_last_line_says_when_all_is_done(width: int) -> None:
    screen = Screen(width).show(PLANNED)
    assert screen.lines[-1] == "0 of 15 stages, 0:00, about 96 s left"
    screen.show({"event": "stage_started", "stage": "preflight", "hosts": HOSTS}, finished("preflight"))
    screen.show({"event": "stage_started", "stage": "base", "hosts": HOSTS})
    screen.now = 20.0
    slow = screen.lines[-1]
    screen.now = 24.0
    assert (slow, screen.lines[-1]) == (
        "1 of 15 stages, 0:20, about 75 s left",
        "1 of 15 stages, 0:24, about 71 s left",
    )


def test_a_run_takes_as_long_as_its_longest_branch() -> None:
    needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    times = {"a": 1.0, "b": 10.0, "c": 4.0, "d": 2.0}
    assert durations.remaining(needs, times, {}) == 13
    assert durations.remaining(needs, times, {"a": 0.5}) == 12.5
    assert durations.remaining({"c": ("a",), "d": ("b", "c")}, times, {"c": 60.0}) == 2
    assert durations.remaining({}, times, {}) == 0


def test_what_is_blocked_is_not_waited_for() -> None:
    screen = Screen(80).show(PLANNED)
    for stage in PLANNED["stages"]:
        if stage != "verify":
            screen.show({"event": "stage_started", "stage": stage, "hosts": []}, finished(stage))
    assert screen.lines[-1] == "14 of 15 stages, 0:00, about 8 s left"
    screen.show(ended("verify", LOCALHOST, "blocked"))
    assert screen.lines[-1] == "14 of 15 stages, 0:00"
    assert screen.line("verify").split() == ["✗", "verify", "blocked"]


def test_a_terminal_without_unicode_gets_signs_that_it_has() -> None:
    screen = Screen(60, encoding="ascii").show(PLANNED)
    assert screen.line("base").startswith(". base")


def test_a_low_terminal_shows_what_is_at_work() -> None:
    screen = Screen(80, height=10).show(PLANNED)
    with screen.board:
        screen.show({"event": "stage_started", "stage": "base", "hosts": HOSTS})
        assert [line.split()[1] for line in screen.lines[:-1]] == ["base"]
    assert len(screen.lines) == len(PLANNED["stages"]) + 1


def test_the_sum_comes_after_the_lines_and_failures_before(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(80)
    counts = {"stages": 2, "changed": 1, "failed": 1, "unreachable": 0, "seconds": 1.0}
    with screen.board:
        screen.show(PLANNED, ended("base", "n1", "failed"))
        screen.show({"event": "finished", **counts, "local": {"changed": [], "failed": []}})
    lines = screen.console.export_text().splitlines()
    place = {
        word: max(n for n, line in enumerate(lines) if word in line)
        for word in ("n1: base", "verify", "2 stages")
    }
    assert place["n1: base"] < place["verify"] < place["2 stages"]
    assert lines[place["2 stages"]] == "2 stages in 1.0 s: 1 host changed, 1 failed, 0 unreachable"
    assert "of 15 stages" not in lines[place["2 stages"] - 1], "the sum is said once"


def test_every_stage_has_a_time_to_begin_with(tmp_path: Path) -> None:
    assert durations.TYPICAL.keys() == {stage.name for stage in STAGES}
    known = durations.Durations(tmp_path)
    assert known.load() == durations.TYPICAL
    known.save({"base": 99.04})
    known.save({"munge": 1.0})
    assert known.load() == {**durations.TYPICAL, "base": 99.0, "munge": 1.0}


def test_ci_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert isinstance(view(Output(), {}), Lines)
    lines: list[str] = []
    for event in (PLANNED, {"event": "task", "stage": "base", "task": "x"}):
        Lines(lines.append).show(event)
    assert lines == []


def test_times_are_in_the_unit_that_people_use() -> None:
    assert [durations.words(seconds) for seconds in (0.2, 42.4, 99, 130, 3600)] == [
        "1 s",
        "42 s",
        "99 s",
        "2 min",
        "60 min",
    ]
    assert [durations.clock(seconds) for seconds in (0.9, 61, 3671)] == ["0:00", "1:01", "61:11"]
