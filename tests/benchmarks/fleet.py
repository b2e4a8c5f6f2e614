"""What platformctl itself costs by the number of hosts: 10, 100 and 1,000 simulated ones."""

import json
import os
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.figures import Figures
from tests.benchmarks.labs import PLATFORMCTL, platformctl

NAME = "fleet"
ABOUT = (
    "platformctl on a fleet of simulated hosts with nothing recorded. The hosts are on the same machine, "
    "which pays for both ends of each connection. Connected means that ssh keeps a connection to every host."
)
RUNS = 1
_SIZES = (10, 100, 1000)
_COMMANDS = (("validate", "validate"), ("plan, first", "plan"), ("plan, connected", "plan"))


def measure(figures: Figures) -> None:
    """One run."""
    for size in _SIZES:
        name = f"bench-fleet{size}"
        platformctl("lab", "down", "--name", name)
        started = time.monotonic()
        platformctl("lab", "fleet", str(size), "--name", name)
        figures.add(f"boot, {size} hosts", time.monotonic() - started, "s")
        try:
            _commands(figures, name, size)
        finally:
            platformctl("lab", "down", "--name", name)


def _commands(figures: Figures, name: str, size: int) -> None:
    status = [PLATFORMCTL, "--output", "json", "lab", "status", "--name", name]
    inventory = json.loads(subprocess.run(status, capture_output=True, check=True).stdout)["inventory"]
    for what, command in _COMMANDS:
        seconds, mebibytes = _cost(command, "-i", inventory)
        figures.add(f"{what}, {size} hosts", seconds, "s")
        figures.add(f"{what}, {size} hosts, memory", mebibytes, "MiB")


def _cost(*arguments: str) -> tuple[float, float]:
    """Seconds, and the most memory of platformctl itself in MiB; a failure ends the benchmark."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen([PLATFORMCTL, *arguments], stdout=said, stderr=said)
        _, code, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if code:
            said.seek(0)
            sys.exit(f"{' '.join(arguments)} failed:\n{said.read().decode()[-4000:]}")
    return seconds, used.ru_maxrss / 1024
