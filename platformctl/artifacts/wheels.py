"""Python packages for images: wheels from a lock with hashes, installed for the image's own interpreter.

The lock is images/<name>/requirements.txt, compiled from requirements.in beside it.
"""

import re
import shutil
import sys
from pathlib import Path

from platformctl.artifacts.catalogue import PACKAGE
from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.artifacts.process import run
from platformctl.artifacts.roots import compile_python
from platformctl.errors import PlatformError

LOCKS = PACKAGE / "images"
PYTHON = "3.13"
PLATFORM = "x86_64-manylinux_2_40"
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"
FORMAT = 1


def lock_path(name: str) -> Path:
    """The lock file of a set of wheels."""
    return LOCKS / name / "requirements.txt"


def wheels_key(name: str, root_key: str) -> str:
    """Digest of what a set of installed wheels is made from."""
    return hash_value([hash_file(lock_path(name)), root_key, PYTHON, PLATFORM, FORMAT])


def locked_version(name: str, package: str) -> str:
    """The version of a package in the lock of a set of wheels."""
    match = re.search(rf"^{re.escape(package)}==([^ ;\\]+)", lock_path(name).read_text(), re.MULTILINE)
    if match is None:
        raise PlatformError(f"{package} is not in the lock", where=str(lock_path(name)))
    return match[1]


def install(name: str, tree: Path, interpreter: str, destination: Path) -> None:
    """Install the locked wheels as destination/<SITE> and destination/usr/local/bin, compiled."""
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    site = partial / SITE
    unpack(name, site)
    _move_scripts(site / "bin", partial / "usr/local/bin")
    compile_python(tree, interpreter, site, f"/{SITE}")
    partial.replace(destination)


def unpack(name: str, folder: Path) -> None:
    """Install the locked wheels into a folder, as their publishers made them."""
    run(
        [
            *(_uv(), "pip", "install", "--quiet", "--target", str(folder), "--python", sys.executable),
            *("--python-version", PYTHON, "--python-platform", PLATFORM, "--link-mode", "copy"),
            *("--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(lock_path(name))),
        ],
        remedy="check that this machine reaches its Python package index",
    )


def _move_scripts(source: Path, target: Path) -> None:
    """Give the scripts of the wheels the interpreter of the image."""
    if not source.exists():
        return
    target.mkdir(parents=True)
    for script in source.iterdir():
        first, _, body = script.read_text().partition("\n")
        if first.startswith("#!"):
            (target / script.name).write_text(f"#!/usr/bin/python{PYTHON}\n{body}")
            (target / script.name).chmod(0o755)
    shutil.rmtree(source)


def _uv() -> str:
    """The uv on PATH, or the one that was installed with platformctl."""
    own = Path(sys.executable).with_name("uv")
    program = shutil.which("uv") or (str(own) if own.exists() else None)
    if program is None:
        raise PlatformError(
            "uv is needed to install the wheels of images, and was not installed with platformctl",
            where=str(own),
            next=f"{sys.executable} -m pip install uv",
        )
    return program
