"""What one stage costs by the number of hosts: the stage base on 3, 6 and 12 plain hosts."""

from tests.benchmarks.figures import Figures
from tests.benchmarks.runs import STAGE_RESOLUTION, platformctl
from tests.labs import lab

NAME = "hosts"
ABOUT = "The stages preflight and base on 3, 6 and 12 plain hosts of a lab."
RUNS = 3
_SIZES = (3, 6, 12)
_OWN = 3


def measure(figures: Figures) -> None:
    """One run."""
    seconds = {}
    for size in _SIZES:
        with lab(f"bench-hosts{size}", "--light", str(size - _OWN)) as inventory:
            stage = ("--stage", "preflight", "--stage", "base")
            fresh = platformctl("install", "--yes", "-i", str(inventory), *stage)
            figures.add(f"fresh, {size} hosts", fresh.stages()["base"], "s", resolution=STAGE_RESOLUTION)
            again = platformctl("install", "--full", "--yes", "-i", str(inventory), *stage)
            seconds[size] = again.stages()["base"]
            figures.add(f"converged, {size} hosts", seconds[size], "s", resolution=STAGE_RESOLUTION)
            plan = platformctl("plan", "-i", str(inventory), *stage)
            figures.add(f"plan, {size} hosts", plan.seconds, "s")
    slope = (seconds[_SIZES[-1]] - seconds[_SIZES[0]]) / (_SIZES[-1] - _SIZES[0])
    figures.add("slope, converged", slope, "s/host")
