"""Figures of a benchmark: collected over its runs, and written to build/bench as JSON.

A figure is {"value", "spread", "runs", "unit", "better", "resolution", "goal", "holds"}: the median of its
runs, and how far they typically are from it (the median absolute deviation, same unit; null below three
runs). `better` is "lower" or "higher", `goal` a sentence or null, `holds` whether the median meets it (null
without a goal). Seconds differ from machine to machine, so goals are ratios wherever they can be.
"""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

COMMITTED = Path(__file__).parent / "committed"
WRITTEN = Path(__file__).parents[2] / "build" / "bench"
# Two runs have a distance, but say nothing of what is typical.
_RUNS_FOR_SPREAD = 3


def machine() -> str:
    """The machine in words: cores, memory, kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


@dataclass
class Samples:
    """One figure's values, one a run, and what they mean."""

    unit: str
    better: str
    resolution: float
    at_most: float | None
    values: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The figure as it is written."""
        middle = median(self.values)
        known = len(self.values) >= _RUNS_FOR_SPREAD
        spread = median(abs(value - middle) for value in self.values) if known else None
        return {
            "value": round(middle, 3),
            "spread": None if spread is None else round(spread, 4),
            "runs": len(self.values),
            "unit": self.unit,
            "better": self.better,
            "resolution": self.resolution,
            "goal": None if self.at_most is None else f"at most {self.at_most:g} {self.unit}",
            "holds": None if self.at_most is None else middle <= self.at_most,
        }


@dataclass
class Figures:
    """The figures of one benchmark; about: a sentence or two for the documentation, on what is measured."""

    name: str
    about: str
    samples: dict[str, Samples] = field(default_factory=dict)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        at_most: float | None = None,
        better: Literal["lower", "higher"] = "lower",
        resolution: float = 0,
    ) -> None:
        """Record a figure's value in this run.

        at_most: its goal in the same unit. resolution: the smallest difference that the value can show.
        """
        self.samples.setdefault(name, Samples(unit, better, resolution, at_most)).values.append(value)

    def document(self) -> dict[str, Any]:
        """What is written: the figures, what they are, and where they were measured."""
        figures = {name: samples.summary() for name, samples in self.samples.items()}
        return {"about": self.about, "machine": machine(), "figures": figures}

    def write(self) -> dict[str, Any]:
        """Print the figures and write them; returns the document."""
        document = self.document()
        for name, figure in document["figures"].items():
            verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[figure["holds"]]
            spread = "" if figure["spread"] is None else f" ± {figure['spread']:.2g}"
            goal = f"  goal: {figure['goal']}  {verdict}" if figure["goal"] else ""
            print(f"{self.name}: {name:40} {figure['value']:10.3f}{spread:10} {figure['unit']:8}{goal}")
        WRITTEN.mkdir(parents=True, exist_ok=True)
        (WRITTEN / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")
        return document


def committed(name: str) -> dict[str, Any] | None:
    """The document of a benchmark that is committed, if there is one."""
    path = COMMITTED / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found
