"""Figures of a benchmark: collected, printed, written to build/bench, compared with the committed ones.

A figure is {"value", "unit", "goal", "holds"}; `goal` is a sentence or null, `holds` whether it is met
(null without a goal). Seconds differ from machine to machine, so goals are ratios wherever they can be.
"""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMITTED = Path(__file__).parent / "committed"
WRITTEN = Path(__file__).parents[2] / "build" / "bench"
# A shared machine's timings differ this much from run to run, so less is not called worse.
NOISE = 1.25


def machine() -> str:
    """The machine in words: cores, memory, kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


@dataclass
class Figures:
    """The figures of one benchmark; about: a sentence or two for the documentation, on what is measured."""

    name: str
    about: str = ""
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str, at_most: float | None = None) -> None:
        """Record one figure; at_most is its goal in the same unit."""
        self.figures[name] = {
            "value": round(value, 3),
            "unit": unit,
            "goal": None if at_most is None else f"at most {at_most:g} {unit}",
            "holds": None if at_most is None else value <= at_most,
        }

    def finish(self) -> None:
        """Print the figures with what got worse since the committed run, and write them."""
        committed = self._committed()
        for name, figure in self.figures.items():
            verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[figure["holds"]]
            before = committed.get(name, {}).get("value")
            worse = before and figure["unit"] != "1" and figure["value"] > before * NOISE
            remark = f"  worse than committed: {before:g}" if worse else ""
            goal = f"  goal: {figure['goal']}" if figure["goal"] else ""
            print(
                f"{self.name}: {name:40} {figure['value']:10.2f} {figure['unit']:8}{goal}  {verdict}{remark}"
            )
        WRITTEN.mkdir(parents=True, exist_ok=True)
        document = {"about": self.about, "machine": machine(), "figures": self.figures}
        (WRITTEN / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")

    def _committed(self) -> dict[str, dict[str, Any]]:
        path = COMMITTED / f"{self.name}.json"
        return json.loads(path.read_text())["figures"] if path.exists() else {}
