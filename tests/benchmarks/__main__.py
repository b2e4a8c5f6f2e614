"""`make bench`: every benchmark in turn, or those that are named: `python -m tests.benchmarks install`.

A benchmark is a module with NAME, ABOUT, RUNS (how often it is measured) and measure(figures), one run.
"""

import argparse
import importlib
import sys
from types import ModuleType

from tests.benchmarks.comparison import compare
from tests.benchmarks.figures import Figures, committed, machine

BENCHMARKS = ("site_load", "balance", "router", "fairness", "install", "hosts", "device_faults")
# Only when they are named: each takes long, and no lab may be running.
NAMED = ("cold", "fleet", "nodes")


def main(arguments: list[str]) -> int:
    """Measure and compare; 1 when something got worse and that was to fail.

    An unknown name is refused before anything is measured.
    """
    options = _options(arguments)
    worse = False
    for name in options.names or BENCHMARKS:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        worse |= measured_worse(module, options.runs or module.RUNS)
    return 1 if worse and options.fail_on_worse else 0


def measured_worse(module: ModuleType, runs: int) -> bool:
    """Measure one benchmark that many times, print, write and compare its figures."""
    figures = Figures(module.NAME, module.ABOUT)
    try:
        for _ in range(runs):
            module.measure(figures)
    finally:
        # What was measured before something broke is worth keeping.
        document = figures.write()
    before = committed(module.NAME)
    if before is None:
        print(f"{module.NAME}: nothing is committed to compare with")
        return False
    compared = compare(before["figures"], document["figures"])
    print(f"{module.NAME}: compared with the committed figures of {before['machine']}; here: {machine()}")
    print("\n".join(compared.lines()))
    return bool(compared.worse)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure and compare.")
    known = (*BENCHMARKS, *NAMED)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--runs", type=_positive, help="how often to measure, instead of RUNS")
    parser.add_argument("--fail-on-worse", action="store_true", help="exit 1 when a figure got worse")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"unknown benchmark {', '.join(unknown)}; known are {', '.join(known)}")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} runs cannot be: give a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
