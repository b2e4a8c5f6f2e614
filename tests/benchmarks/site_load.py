"""Time to read and check inventories of 10, 100 and 1,000 hosts: `python -m tests.benchmarks.site_load`."""

import tempfile
import time
from pathlib import Path

import yaml

from platformctl import paths, site
from tests.benchmarks.figures import Figures

_SIZES = (10, 100, 1000)


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


def main() -> None:
    """Measure, print and write the figures."""
    figures = Figures("site-load", "Reading and checking an inventory; nothing is reached.")
    started = time.perf_counter()
    site.load(paths.data_dir() / "inventories" / "example-site")
    figures.add("first load, with imports and types", time.perf_counter() - started, "s")
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
    figures.finish()


if __name__ == "__main__":
    main()
