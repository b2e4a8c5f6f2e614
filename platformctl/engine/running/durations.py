"""How long stages take, and the remaining time of a run: from earlier runs, or from default values."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

# Seconds of a first installation of three hosts, for sites without an earlier run: figures of `make bench`.
TYPICAL = {
    "artifacts": 1.0,
    "preflight": 1.0,
    "base": 24.0,
    "registry": 12.0,
    "containerd": 6.0,
    "kubernetes_control_plane": 18.0,
    "kubernetes_node": 11.0,
    "kubernetes_network": 4.0,
    "kubernetes_addons": 18.0,
    "munge": 5.0,
    "slurm_accounting": 5.0,
    "slurm_controller": 4.0,
    "slurm_node": 8.0,
    "slurm_rest": 7.0,
    "charts": 11.0,
    "verify": 8.0,
}


class Durations:
    """Seconds that each stage took when it last ran on this site, from this machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "durations.json"

    def load(self) -> dict[str, float]:
        """The durations by stage; default values for stages that have not run yet."""
        return {**TYPICAL, **self._measured()}

    def _measured(self) -> dict[str, float]:
        try:
            return dict(json.loads(self._path.read_text()))
        except (OSError, ValueError):
            return {}

    def save(self, seconds: Mapping[str, float]) -> None:
        """Keep the durations of the stages that ran; the others stay."""
        measured = {**self._measured(), **{name: round(value, 1) for name, value in seconds.items()}}
        self._path.write_text(json.dumps(measured))


def remaining(
    needs: Mapping[str, Sequence[str]], durations: Mapping[str, float], spent: Mapping[str, float]
) -> float:
    """Seconds until the last stage ends, if each begins as soon as the stages that it needs have ended.

    needs: of every stage that has not ended yet, in graph order. spent: seconds that a stage has run so far.
    A stage that takes longer than expected counts as nearly done.
    """
    ends: dict[str, float] = {}
    for stage, needed in needs.items():
        begins = max((ends.get(name, 0.0) for name in needed), default=0.0)
        ends[stage] = begins + max(durations.get(stage, 0.0) - spent.get(stage, 0.0), 0.0)
    return max(ends.values(), default=0.0)


def words(seconds: float) -> str:
    """A remaining time for people."""
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


def clock(seconds: float) -> str:
    """An elapsed time as on a clock: minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
