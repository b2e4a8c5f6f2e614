"""How soon a faulty GPU is out of service under both schedulers, and in service again."""

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from platformctl import lab as labs
from platformctl.lab import faults
from tests.benchmarks.figures import Figures
from tests.benchmarks.runs import platformctl
from tests.labs import lab
from tests.shared_node import NODE, SLICE, SLICED, drain, in_kubernetes, write_inventory

NAME = "device-faults"
ABOUT = (
    "A fatal Xid of a GPU of which each scheduler has a slice, on a lab node that both share. Out of service "
    "means that Kubernetes does not offer the slice, and that Slurm has drained the node. The second time "
    "begins with the driver's message that the GPU needs nothing any more, and ends when both give it to "
    "work. For 5 s of it the GPU must be fine before it is taken for recovered."
)
RUNS = 1
_FAULTS = 9
_LAB = "bench-device-faults"
_PATIENCE_SECONDS = 60
_RESOLUTION = 0.3


def measure(figures: Figures) -> None:
    """One run: an installation, and several faults."""
    with tempfile.TemporaryDirectory() as folder:
        write_inventory(Path(folder) / "inventory")
        with lab(_LAB, "-i", str(Path(folder) / "inventory")) as inventory:
            platformctl("install", "--yes", "-i", str(inventory))
            for _ in range(_FAULTS):
                _one(figures)


def _one(figures: Figures) -> None:
    place = labs.find(_LAB)
    assert place is not None
    with faults.gpu_error(place, NODE, SLICED):
        out = _seconds(lambda: _offered() == 0, lambda: bool(drain(_host)))
    back = _seconds(lambda: _offered() == 1, lambda: not drain(_host))
    for name, seconds in zip(("Kubernetes", "Slurm"), out, strict=True):
        figures.add(f"fault until out of service, {name}", seconds, "s", at_most=3, resolution=_RESOLUTION)
    for name, seconds in zip(("Kubernetes", "Slurm"), back, strict=True):
        figures.add(
            f"end of fault until in service, {name}", seconds, "s", at_most=20, resolution=_RESOLUTION
        )


def _offered() -> int:
    return in_kubernetes(_host)[0].get(SLICE, 0)


def _seconds(*wanted: Callable[[], bool]) -> list[float]:
    """How long it takes until each of these holds, watched at the same time."""
    started = time.monotonic()
    found = [float("inf")] * len(wanted)

    def watch(number: int) -> None:
        while time.monotonic() < started + _PATIENCE_SECONDS:
            if wanted[number]():
                found[number] = time.monotonic() - started
                return
            time.sleep(0.05)

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(len(wanted))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _host(name: str, *words: str) -> str:
    command = ["podman", "exec", f"platformctl-{_LAB}-{name}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
