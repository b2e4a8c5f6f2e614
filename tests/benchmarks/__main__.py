"""`make bench`: every benchmark in turn, or those that are named: `python -m tests.benchmarks install`."""

import importlib
import sys

BENCHMARKS = ("site_load", "router", "install", "hosts")
# Only when it is named: it takes as long as all the others, and no lab may be running.
NAMED = ("cold",)


def main(chosen: list[str]) -> None:
    """Run the benchmarks; an unknown name is refused before anything is measured."""
    unknown = sorted(set(chosen) - {*BENCHMARKS, *NAMED})
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(unknown)}; known are {', '.join((*BENCHMARKS, *NAMED))}")
    for name in chosen or BENCHMARKS:
        importlib.import_module(f"tests.benchmarks.{name}").main()


main(sys.argv[1:])
