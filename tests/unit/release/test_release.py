"""`make release`: which files it makes, that they are the same everywhere, and what it refuses."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from platformctl import __version__
from platformctl.artifacts.hashing import hash_file
from tests.unit.release.conftest import Builder, files_of, git

STEM = f"research_platformctl-{Version(__version__)}"
WHEEL = f"{STEM}-py3-none-any.whl"
SOURCE = f"{STEM}.tar.gz"
CHARTS = {f"{name}-{__version__}.tgz" for name in ("job-router", "dask-operator")}
SUMS = "SHA256SUMS"
VAULT = "inventories/lab/group_vars/all/secrets.vault"


def build_package(source: Path, target: str, folder: Path, epoch: str) -> None:
    """Build what a person's installer would, without the release script."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    subprocess.run(command, cwd=source, env=environment, capture_output=True, check=True)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in folder.iterdir()}


def test_two_builds_of_a_commit_are_the_same(released: Path, clone: Path, build: Builder) -> None:
    # What git ignores is in no release, and a tag is not in its files.
    (clone / VAULT).write_text("secret")
    git(clone, "tag", "--delete", f"v{__version__}")
    done = build(clone, umask=0o077, TZ="Asia/Kolkata", PYTHONHASHSEED="2")
    assert done.returncode == 0, done.stderr
    assert f"not tagged v{__version__}, so it is a trial" in done.stderr
    assert digests(clone / "dist") == digests(released)
    assert set(digests(released)) == {WHEEL, SOURCE, SUMS, *CHARTS}


def test_the_sums_are_those_of_the_other_files(released: Path) -> None:
    lines = (released / SUMS).read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {WHEEL, SOURCE, *CHARTS}
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=released, check=True)


def test_the_source_has_every_file_of_the_commit(released: Path, commit: Path) -> None:
    with tarfile.open(released / SOURCE) as archive:
        names = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    # A link to roles, of which the archive has a copy.
    assert set(files_of(commit)) - names == {"playbooks/roles"}
    assert "playbooks/roles/base/tasks/main.yml" in names


def test_the_source_gives_the_same_wheel(released: Path, commit: Path, tmp_path: Path) -> None:
    with tarfile.open(released / SOURCE) as archive:
        archive.extractall(tmp_path, filter="data")
    epoch = git(commit, "log", "-1", "--format=%ct").strip()
    build_package(tmp_path / STEM, "wheel", tmp_path / "dist", epoch)
    assert hash_file(tmp_path / "dist" / WHEEL) == hash_file(released / WHEEL)


def test_the_charts_have_the_definitions_of_their_operator(released: Path) -> None:
    with tarfile.open(released / f"dask-operator-{__version__}.tgz") as archive:
        assert "dask-operator/crds/one.yaml" in archive.getnames()


def test_no_package_of_a_used_checkout_has_what_git_ignores(clone: Path, tmp_path: Path) -> None:
    (clone / VAULT).write_text("secret")
    for target in ("wheel", "sdist"):
        build_package(clone, target, tmp_path, "0")
    with zipfile.ZipFile(tmp_path / WHEEL) as wheel, tarfile.open(tmp_path / SOURCE) as source:
        names = [*wheel.namelist(), *source.getnames()]
    assert [name for name in names if name.endswith("hosts.yml") and "/lab/" in name]
    assert not [name for name in names if name.endswith(".vault")]


def test_a_wheel_can_be_made_of_a_checkout_that_was_changed(
    released: Path, clone: Path, build: Builder
) -> None:
    (clone / "README.md").write_text("Another.\n")
    done = build(clone, "wheel")
    assert "without what is not committed" in done.stderr
    assert digests(clone / "dist") == {WHEEL: hash_file(released / WHEEL)}


def refuse(clone: Path, build: Builder) -> str:
    """Build a release that must be refused, before an older one is touched; what it says."""
    (clone / "dist").mkdir()
    done = build(clone)
    assert done.returncode == 1
    assert list((clone / "dist").iterdir()) == []
    return done.stderr


@pytest.mark.parametrize("name", ["README.md", "roles/base/tasks/new.yml"])
def test_a_release_is_refused_with_uncommitted_changes(clone: Path, build: Builder, name: str) -> None:
    (clone / name).write_text("changed")
    assert name in refuse(clone, build)


def test_a_release_is_refused_under_the_tag_of_another_version(clone: Path, build: Builder) -> None:
    git(clone, "tag", "--delete", f"v{__version__}")
    git(clone, "tag", "v99.0.0")
    said = refuse(clone, build)
    assert "v99.0.0" in said
    assert __version__ in said


def test_a_release_is_refused_that_the_changelog_does_not_have(clone: Path, build: Builder) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    git(clone, "commit", "--quiet", "--all", "--message", "Forget")
    git(clone, "tag", "--force", f"v{__version__}")
    assert "CHANGELOG.md has no section" in refuse(clone, build)
