"""docs/benchmarks.md, made from the committed figures: `python -m tests.benchmarks.document > FILE`."""

import json
import sys
from typing import Any

from tests.benchmarks.figures import COMMITTED

_HEAD = """# Benchmarks

<!-- made by `make docs` from tests/benchmarks/committed -->

`make bench` measures on this machine and writes `build/bench/NAME.json`: the median of several runs and, from
three runs on, how far they typically are from it (± the median absolute deviation). It says what is worse
than the committed figures below by more than the noise: what both spreads explain, and at least a tenth, or a
quarter where a spread is not known. `make bench FAIL=1` fails then; `RUNS=5` sets how often each is measured.
`python -m tests.benchmarks NAME` measures one of them. Seconds differ between machines: compare ratios, and
runs on the same machine.
"""


def document() -> str:
    """The page: one table for each committed benchmark, with what it measures and on which machine."""
    return "\n".join([_HEAD, *(_section(path.stem) for path in sorted(COMMITTED.glob("*.json")))])


def _section(name: str) -> str:
    found = json.loads((COMMITTED / f"{name}.json").read_text())
    rows = [
        f"| {figure} | {_measured(entry)} | {_goal(entry)} |" for figure, entry in found["figures"].items()
    ]
    about = f"{found['about']} On {found['machine']}.".strip()
    head = [f"## {name}", "", about, "", "| | | goal |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _measured(entry: dict[str, Any]) -> str:
    # Figures of before spreads were measured have none.
    spread = f" ± {_number(entry['spread'])}" if entry.get("spread") is not None else ""
    return f"{_number(entry['value'])}{spread} {_unit(entry['unit'])}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _goal(entry: dict[str, object]) -> str:
    if not entry["goal"]:
        return ""
    return f"{entry['goal']}: {'holds' if entry['holds'] else 'does not hold'}"


if __name__ == "__main__":
    sys.stdout.write(document())
