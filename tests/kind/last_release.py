"""The release that an upgrade begins at: which one, its files, and its own platformctl.

It is the newest tag vX.Y.Z before HEAD. Where there is none yet, it is the first revision that could be
installed on a cluster of others: the one that brought inventories/kind. That is the longest way that such a
cluster can have come, so the charts in between have changed as much as they could.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from platformctl.artifacts.store import Store
from platformctl.paths import cache_dir
from tests.kind import cluster

_ROOT = Path(__file__).parents[2]
_SITE = "inventories/kind"
_RUN = "from platformctl.cli.main import run; run()"


@dataclass(frozen=True)
class Release:
    """A revision's files in a folder, and a cache beside it in which its artefacts are its own."""

    folder: Path
    cache: Path

    @property
    def store(self) -> Store:
        """Its artefacts."""
        return Store(self.cache / "platformctl/store/modules")

    @property
    def site(self) -> str:
        """Its inventory of the kind cluster."""
        return str(self.folder / _SITE)

    def run(self, *arguments: str, data: str = "", **environment: str) -> str:
        """Run its platformctl, with the packages of this environment; the output. It must succeed."""
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *arguments],
            input=data,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=600,
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder),
                "XDG_CACHE_HOME": str(self.cache),
                **environment,
            },
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout


def revision() -> str | None:
    """The commit or tag; None where the history here has none before HEAD."""
    if tag := _git(
        "describe", "--tags", "--abbrev=0", "--match=v[0-9]*.[0-9]*.[0-9]*", "--exclude=*-*", "HEAD^"
    ):
        return tag
    first = _git("log", "--diff-filter=A", "--format=%H", "HEAD^", "--", _SITE).split()
    return first[-1] if first else None


def check_out(name: str, folder: Path) -> Release:
    """Unpack a revision below a folder, with its artefacts made and known to the kind cluster."""
    release = Release(folder / "checkout", folder / "cache")
    archive = folder / "revision.tar"
    subprocess.run(["git", "archive", "--output", str(archive), name], cwd=_ROOT, check=True)
    shutil.unpack_archive(archive, release.folder, filter="data")
    name_distribution(release.folder)
    kubeconfig = release.folder / cluster.KUBECONFIG.relative_to(_ROOT)
    kubeconfig.parent.mkdir(parents=True)
    shutil.copy(cluster.KUBECONFIG, kubeconfig)
    _share_cache(release.cache / "platformctl")
    release.run("artifacts", "fetch", "-i", release.site)
    cluster.load(release.store)
    return release


def name_distribution(folder: Path) -> None:
    """Let a revision that asks the installed distribution for its version find itself, by its old name."""
    stated = re.search(r'^version = "(.+)"$', (folder / "pyproject.toml").read_text(), re.MULTILINE)
    if stated is None:
        return
    metadata = folder / f"platformctl-{stated[1]}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.4\nName: platformctl\nVersion: {stated[1]}\n")


def _share_cache(folder: Path) -> None:
    """A cache that has what this one has, except that changes of its store are its own."""
    folder.mkdir(parents=True)
    for path in cache_dir().iterdir():
        if path.name != "store":
            (folder / path.name).symlink_to(path.resolve())
    # Files of a store are replaced, never written again, so that a link is as good as a copy.
    shutil.copytree(cache_dir() / "store", folder / "store", copy_function=_link)


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def _git(*arguments: str) -> str:
    """What git says; nothing where it has no answer."""
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
