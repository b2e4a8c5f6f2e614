"""What is published of the commit that is checked out, in dist/: `make release`; `make wheel` for one file.

The same commit gives the same bytes wherever it is built: only its own files are taken, with its time.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def main(wheel_only: bool) -> None:
    """Make the files elsewhere first, so that dist/ never holds a part of a release."""
    changed = _git("status", "--porcelain")
    if changed and not wheel_only:
        sys.exit(f"error: a release is made of a commit; commit these or take them away:\n{changed}")
    if changed:
        print("wheel: without what is not committed", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        tree, made = Path(name) / "tree", Path(name) / "made"
        _check_out(tree)
        # From here on platformctl is that of the commit.
        sys.path.insert(0, str(tree))
        if not wheel_only:
            _check_version(tree)
        _build_packages(tree, made, ["wheel"] if wheel_only else ["wheel", "sdist"])
        if not wheel_only:
            _package_charts(Path(name) / "wheels", made)
            _sum(made)
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(made, DIST)
    for path in sorted(DIST.iterdir()):
        print(path.relative_to(ROOT))


def _check_out(tree: Path) -> None:
    archive = tree.with_suffix(".tar")
    _git("archive", "--output", str(archive), "HEAD")
    with tarfile.open(archive) as opened:
        opened.extractall(tree, filter="data")


def _check_version(tree: Path) -> None:
    """A commit that is tagged as a release must say so itself, and what is new in it."""
    from platformctl import __version__

    tags = [tag for tag in _git("tag", "--points-at", "HEAD").split() if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    if not tags:
        print(f"release: this commit is not tagged v{__version__}, so it is a trial", file=sys.stderr)
        return
    if tags != [f"v{__version__}"]:
        sys.exit(f"error: this commit is tagged {' '.join(tags)}, but its version is {__version__}")
    if f"\n## [{__version__}] - " not in (tree / "CHANGELOG.md").read_text():
        sys.exit(f"error: CHANGELOG.md has no section [{__version__}] with a date")


def _build_packages(tree: Path, made: Path, targets: list[str]) -> None:
    chosen = [word for target in targets for word in ("--target", target)]
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(made), *chosen],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: the packages cannot be built\n{done.stderr}")


def _package_charts(unpacked: Path, made: Path) -> None:
    """The charts as the artefact store has them, with the definitions that come in operators' wheels."""
    from platformctl.artifacts import catalogue, charts, wheels

    definitions = catalogue.load().chart_crds
    for name, folder in charts.find_charts().items():
        crds = None
        if found := definitions.get(name):
            wheels.unpack(found.wheels, unpacked / name)
            crds = unpacked / name / found.folder
        charts.package(name, folder, crds, made / f"{name}-{charts.chart_version(folder)}.tgz")


def _sum(made: Path) -> None:
    """SHA256SUMS, for `sha256sum --check`."""
    from platformctl.artifacts.hashing import hash_file

    lines = [f"{hash_file(path)}  {path.name}\n" for path in sorted(made.iterdir())]
    (made / "SHA256SUMS").write_text("".join(lines))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.rstrip()


if __name__ == "__main__":
    main(wheel_only=sys.argv[1:] == ["wheel"])
