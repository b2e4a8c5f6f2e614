"""What got worse: figures of a run beside the committed ones, with the noise of both.

A difference counts when it is larger than what the spreads of both sides explain, than what the figure can
show, and than a floor: runs on one day are more alike than runs of different days.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Figure = Mapping[str, Any]
"""As written by `figures`; one that was committed earlier may lack `spread` and all that describes it."""

FLOOR = 0.10
"""Part of the committed value that is never called a difference."""
FLOOR_UNKNOWN = 0.25
"""The same where a side was measured too few times to know its spread."""
# Normal noise deviates by 1.4826 of its median absolute deviation; three times that is rare.
_DEVIATIONS = 3 * 1.4826


@dataclass(frozen=True)
class Difference:
    """A figure in both; noise: what a difference must exceed, in the same unit; worse: whether it does."""

    name: str
    unit: str
    old: float
    new: float
    noise: float
    worse: bool

    def row(self) -> tuple[str, ...]:
        """Cells for people: name, old, new, ratio, noise."""
        ratio = f"{self.new / self.old:.2f}" if self.old else "-"
        return (
            self.name,
            f"{self.old:.3g} {self.unit}",
            f"{self.new:.3g} {self.unit}",
            ratio,
            f"± {self.noise:.2g}",
        )


@dataclass(frozen=True)
class Comparison:
    """Figures in both, and the names of those that only one side has."""

    differences: tuple[Difference, ...]
    new: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def worse(self) -> tuple[Difference, ...]:
        """What got worse by more than the noise."""
        return tuple(difference for difference in self.differences if difference.worse)

    def lines(self) -> list[str]:
        """For people: a table of what got worse, then what cannot be compared."""
        lines = _table([("worse", "old", "new", "ratio", "noise"), *(found.row() for found in self.worse)])
        if not self.worse:
            lines = [f"none of {len(self.differences)} figures is worse by more than the noise"]
        lines += [f"not committed so far: {', '.join(self.new)}"] if self.new else []
        lines += [f"committed, but not measured: {', '.join(self.missing)}"] if self.missing else []
        return lines


def compare(old: Mapping[str, Figure], new: Mapping[str, Figure]) -> Comparison:
    """Compare figures by name: the committed ones and a run's."""
    return Comparison(
        tuple(_difference(name, old[name], figure) for name, figure in new.items() if name in old),
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
    )


def _difference(name: str, old: Figure, new: Figure) -> Difference:
    change = new["value"] - old["value"]
    # The run knows the direction: what was committed earlier may not say it.
    worsening = change if new["better"] == "lower" else -change
    noise = _noise(old, new)
    worse = worsening > noise and not math.isclose(worsening, noise)
    return Difference(name, new["unit"], old["value"], new["value"], noise, worse)


def _noise(old: Figure, new: Figure) -> float:
    spreads = [figure.get("spread") for figure in (old, new)]
    floor = FLOOR_UNKNOWN if None in spreads else FLOOR
    explained = _DEVIATIONS * math.hypot(*(spread or 0 for spread in spreads))
    return max(explained, floor * abs(old["value"]), new["resolution"])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
