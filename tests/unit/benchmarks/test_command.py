"""The command: how often it measures, what it keeps, and when it fails."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import figures as figures_module
from tests.benchmarks.figures import Figures


class Benchmark(ModuleType):
    """Stands in for site_load: a run takes `seconds`, and is counted."""

    NAME = "stub"
    ABOUT = "Nothing."
    RUNS = 3

    def __init__(self) -> None:
        super().__init__("stub")
        self.seconds = 1.0
        self.measured = 0
        self.break_at = 0

    def measure(self, figures: Figures) -> None:
        self.measured += 1
        if self.measured == self.break_at:
            raise RuntimeError("broke")
        figures.add("load", self.seconds, "s")


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    stub = Benchmark()
    monkeypatch.setitem(sys.modules, "tests.benchmarks.site_load", stub)
    monkeypatch.setattr(figures_module, "WRITTEN", tmp_path / "bench")
    monkeypatch.setattr(figures_module, "COMMITTED", tmp_path / "committed")
    return stub


@pytest.fixture
def commit(tmp_path: Path) -> Callable[[float], None]:
    """Commits a figure without a spread, as all were once."""

    def commit(seconds: float) -> None:
        (tmp_path / "committed").mkdir()
        document = {"machine": "another", "figures": {"load": {"value": seconds, "unit": "s"}}}
        (tmp_path / "committed/stub.json").write_text(json.dumps(document))

    return commit


def test_a_benchmark_says_how_often_it_is_measured(benchmark: Benchmark) -> None:
    assert command.main(["site_load"]) == 0
    assert benchmark.measured == 3


def test_the_caller_may_say_otherwise(benchmark: Benchmark, tmp_path: Path) -> None:
    command.main(["--runs", "7", "site_load"])
    assert benchmark.measured == 7
    assert json.loads((tmp_path / "bench/stub.json").read_text())["figures"]["load"]["runs"] == 7


@pytest.mark.parametrize(
    ("committed", "options", "code"),
    [
        (0.5, ["--fail-on-worse"], 1),
        (0.5, [], 0),
        (1.0, ["--fail-on-worse"], 0),
        (2.0, ["--fail-on-worse"], 0),
    ],
)
def test_only_what_got_worse_fails_and_only_if_asked(
    benchmark: Benchmark, commit: Callable[[float], None], committed: float, options: list[str], code: int
) -> None:
    commit(committed)
    assert command.main([*options, "site_load"]) == code


def test_the_machines_are_named(
    benchmark: Benchmark, commit: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    commit(0.5)
    command.main(["site_load"])
    printed = capsys.readouterr().out
    assert "committed figures of another; here: " in printed
    assert "2.00" in printed.splitlines()[-1].split()


def test_nothing_committed_is_nothing_worse(benchmark: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--fail-on-worse", "site_load"]) == 0
    assert "nothing is committed" in capsys.readouterr().out


def test_what_was_measured_before_a_failure_is_kept(benchmark: Benchmark, tmp_path: Path) -> None:
    benchmark.break_at = 3
    with pytest.raises(RuntimeError):
        command.main(["site_load"])
    assert json.loads((tmp_path / "bench/stub.json").read_text())["figures"]["load"]["runs"] == 2


@pytest.mark.parametrize("arguments", [["nosuch"], ["--runs", "0"], ["site_load", "nosuch"]])
def test_mistakes_are_refused_before_anything_is_measured(benchmark: Benchmark, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    assert benchmark.measured == 0


def test_every_benchmark_can_be_run() -> None:
    for name in (*command.BENCHMARKS, *command.NAMED):
        module = __import__(f"tests.benchmarks.{name}", fromlist=[name])
        assert module.NAME
        assert module.ABOUT
        assert module.RUNS >= 1
        assert callable(module.measure)
