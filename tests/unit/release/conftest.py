"""Releases built in copies of this checkout.

A script plays uv and writes what the Dask operator's wheel would hold, so that no package index is asked.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl import __version__
from platformctl.artifacts import catalogue

ROOT = Path(__file__).parents[3]
_UV = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/{folder}"
echo 'kind: CustomResourceDefinition' > "$2/{folder}/one.yaml"
"""
_GIT = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-02T03:04:05+00:00"),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}

Builder = Callable[..., subprocess.CompletedProcess[str]]


def git(folder: Path, *arguments: str, umask: int = -1) -> str:
    """Run git without this machine's settings; the output."""
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **_GIT},
        umask=umask,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def files_of(folder: Path) -> list[str]:
    """What is tracked or new in a checkout, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [name for name in listed if name and os.path.lexists(folder / name)]


@pytest.fixture(scope="session")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of one commit with the files of this one, tagged as the release that it says it is."""
    folder = tmp_path_factory.mktemp("commit")
    for name in files_of(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{__version__}] - 2026-01-02\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")
    git(folder, "tag", f"v{__version__}")
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Runs the release script of a checkout, in an environment that can be changed."""
    tools = tmp_path_factory.mktemp("tools")
    folder = catalogue.load().chart_crds["dask-operator"].folder
    (tools / "uv").write_text(_UV.format(folder=folder))
    (tools / "uv").chmod(0o755)

    def run(
        checkout: Path, *arguments: str, umask: int = 0o022, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ".ci/release.py", *arguments],
            cwd=checkout,
            env={
                **os.environ,
                **_GIT,
                # Where the real uv is not found.
                "XDG_CACHE_HOME": str(tools),
                "PATH": f"{tools}:{os.environ['PATH']}",
                **environment,
            },
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def released(commit: Path, build: Builder) -> Path:
    """The folder of the files of a release."""
    done = build(commit, TZ="America/St_Johns", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    return commit / "dist"


@pytest.fixture
def clone(commit: Path, tmp_path: Path) -> Path:
    """Another checkout of the commit, made under another umask."""
    folder = tmp_path / "elsewhere" / "clone"
    git(commit, "clone", "--quiet", str(commit), str(folder), umask=0o077)
    return folder
