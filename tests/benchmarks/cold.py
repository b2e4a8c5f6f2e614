"""The cold set-up: `make demo` in a fresh clone, with a new home and empty caches. Takes ten minutes or more.

Debian packages that the machine already has stay; `make demo` would install what is missing.
"""

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import Figures

NAME = "cold"
ABOUT = "`make demo` in a fresh clone with a new home and empty caches: every artefact is built."
RUNS = 1
_ROOT = Path(__file__).parents[2]
# Set by the machine for its user; a new user would not have them.
_OWN = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "GOCACHE",
    "GOMODCACHE",
    "GOPATH",
)
_PARTS = {
    "artefacts built": r"artifacts: \d+ in .* ([\d.]+) s",
    "installation": r"\d+ stages: .* ([\d.]+) s",
}


def measure(figures: Figures) -> None:
    """One run."""
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
        environment = {name: value for name, value in os.environ.items() if name not in _OWN}
        environment["HOME"] = str(home)
        started = time.monotonic()
        try:
            done = subprocess.run(
                ["make", "demo"], cwd=clone, env=environment, capture_output=True, text=True, check=True
            )
            figures.add("all of it", time.monotonic() - started, "s", at_most=1200)
        finally:
            subprocess.run(["make", "lab-down"], cwd=clone, env=environment, check=False)
            # Go keeps its modules read-only, which would keep the folder from being removed.
            subprocess.run(["go", "clean", "-modcache"], env=environment, check=False)
    for name, pattern in _PARTS.items():
        found = re.search(pattern, done.stdout + done.stderr)
        assert found, f"the demo no longer tells {name}"
        figures.add(name, float(found[1]), "s")
