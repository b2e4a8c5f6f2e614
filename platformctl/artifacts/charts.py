"""Packages charts for Helm: a gzipped tar with one folder, named like the chart.

Some charts take their custom resource definitions from a wheel. So the operator's code and its definitions
are always of the same release, and neither is copied into this repository.
"""

import gzip
import io
from pathlib import Path

import yaml

from platformctl.artifacts import layers
from platformctl.artifacts.hashing import hash_tree, hash_value
from platformctl.errors import PlatformError
from platformctl.paths import data_dir


def find_charts() -> dict[str, Path]:
    """The charts of this repository by name."""
    return {path.parent.name: path.parent for path in sorted(data_dir().glob("charts/*/Chart.yaml"))}


def chart_version(folder: Path) -> str:
    """The version in the chart's own file."""
    return str(yaml.safe_load((folder / "Chart.yaml").read_text())["version"])


def chart_key(folder: Path, crds: str) -> str:
    """Digest of a packaged chart's inputs; crds: the key of the wheels that its definitions come from."""
    return hash_value([hash_tree(folder), crds])


def package(name: str, folder: Path, crds: Path | None, destination: Path) -> None:
    """Write a chart as destination, with the definitions of a folder added as its crds/."""
    entries = [layers.Entry(entry.header, entry.content) for entry in layers.tree_entries(folder, name)]
    if crds is not None:
        definitions = sorted(crds.glob("*.yaml"))
        if not definitions:
            raise PlatformError(f"chart {name}: no custom resource definitions found", where=str(crds))
        entries += [layers.file(f"{name}/crds/{path.name}", path) for path in definitions]
    plain = io.BytesIO()
    layers.write_tar(plain, layers.with_parents(entries))
    partial = destination.with_name(destination.name + ".partial")
    partial.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    partial.replace(destination)
