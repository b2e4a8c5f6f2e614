"""Shows at the end of a run how long each suite took, and keeps it for the documentation (`make docs`)."""

from collections import Counter, defaultdict

import pytest

from tests.benchmarks.figures import Figures

ABOUT = (
    "The tests of `make test` by folder: seconds of all their tests together, with what they set up. Two "
    "processes share them, so the run is over in about half of the sum."
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The hook for what stands before the last line. A run of one suite alone is not kept."""
    seconds: dict[str, float] = defaultdict(float)
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[_suite(report.nodeid)] += report.duration
                tests[_suite(report.nodeid)] += report.when == "call"
    if len(seconds) > 1:
        figures = Figures("tests", ABOUT)
        for suite in sorted(seconds, key=seconds.__getitem__, reverse=True):
            figures.add(f"{suite}, {tests[suite]} tests", seconds[suite], "s")
        terminalreporter.section("seconds by suite")
        figures.write()


def _suite(node: str) -> str:
    """Of `tests/unit/site/test_x.py::test_y`: `unit`. Integration tests are told apart by what they start."""
    folders = node.partition("::")[0].split("/")[1:-1]
    return "/".join(folders[:2] if "integration" in folders[:1] else folders[:1])
