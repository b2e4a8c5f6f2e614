"""Time to read and check inventories of 10, 100 and 1,000 hosts."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from platformctl import paths, site
from tests.benchmarks.figures import Figures

NAME = "site-load"
ABOUT = "Reading and checking an inventory; nothing is reached."
RUNS = 5
_SIZES = (10, 100, 1000)
_FIRST = """
import sys, time
from pathlib import Path
from platformctl import site
started = time.perf_counter()
site.load(Path(sys.argv[1]))
print(time.perf_counter() - started)
"""


def _write(folder: Path, size: int) -> None:
    """The example site with `size` more Slurm nodes, each with sizes and a device of its own."""
    example = paths.data_dir() / "inventories" / "example-site"
    for path in example.rglob("*.yml"):
        copy = folder / path.relative_to(example)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    document = yaml.safe_load((folder / "hosts.yml").read_text())
    names = [f"n{number:04}" for number in range(size)]
    for number, name in enumerate(names):
        address = f"198.{18 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
        document["all"]["hosts"][name] = {"ansible_host": address, "node_owner": "slurm"}
    nodes = document["all"]["children"]["slurm"]["children"]["slurm_node"]["hosts"]
    nodes |= {name: {"slurm_node_cpus": 64, "slurm_node_memory_mib": 256000} for name in names}
    (folder / "hosts.yml").write_text(yaml.safe_dump(document))


def measure(figures: Figures) -> None:
    """One run."""
    example = paths.data_dir() / "inventories" / "example-site"
    # In a process of its own: in this one everything is imported after the first run.
    first = subprocess.run([sys.executable, "-c", _FIRST, example], capture_output=True, check=True)
    figures.add("first load, with imports and types", float(first.stdout), "s")
    site.load(example)  # the imports of this process, which are not its inventories' cost
    for size in _SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "inventory"
            _write(folder, size)
            started = time.perf_counter()
            found = site.load(folder)
            figures.add(
                f"load {size} hosts", time.perf_counter() - started, "s", at_most=2 if size == 1000 else None
            )
            assert len(found.hosts) > size
