"""The disk of a lab host: a minimal Debian server, built once for each state of its inputs.

It is kept as a podman image, and as a tarball in the cache from which podman can import it again in seconds.
"""

import hashlib
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from platformctl import paths, surroundings
from platformctl.errors import PlatformError
from platformctl.lab import apt_cache, podman
from platformctl.lab.archives import SUITE

REPOSITORY = "localhost/platformctl-lab"
_INPUTS = ("packages.txt", "customize.sh")


def reference() -> str:
    """Name and tag of the image; the tag is a digest of suite, packages and the script."""
    digest = hashlib.sha256(SUITE.encode())
    for name in _INPUTS:
        digest.update(files("platformctl.lab").joinpath("image", name).read_bytes())
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def ensure(say: Callable[[str], None]) -> str:
    """The image's reference; the image is built or imported first if it is missing.

    The caller holds the machine's lock, so that the image is not built twice at the same time.
    """
    wanted = reference()
    if podman.run("image", "exists", wanted, check=False).returncode == 0:
        return wanted
    tarball = _tarball(wanted)
    if not tarball.exists():
        _refuse_slow_storage()
        say(f"building the image of the lab's hosts (Debian {SUITE}); this happens once")
        _build(tarball)
    podman.run("import", "--quiet", str(tarball), wanted)
    _remove_older(wanted)
    return wanted


def _refuse_slow_storage() -> None:
    driver = podman.run("info", "--format", "{{.Store.GraphDriverName}}").stdout.strip()
    if driver == "vfs":
        raise PlatformError(
            "podman's storage driver is vfs, which copies the whole disk for each host",
            where="podman info",
            next='put driver = "overlay" under [storage] in /etc/containers/storage.conf',
        )


def _tarball(wanted: str) -> Path:
    return paths.cache_dir() / "lab" / f"image-{wanted.rpartition(':')[2]}.tar.zst"


def _build(tarball: Path) -> None:
    """Build with mmdebstrap from Debian's default source, through the package cache if it runs."""
    inputs = files("platformctl.lab").joinpath("image")
    packages = ",".join(inputs.joinpath("packages.txt").read_text().split())
    tarball.parent.mkdir(parents=True, exist_ok=True)
    # A temporary name until it is complete: mmdebstrap leaves a partial file if it is killed.
    unfinished = tarball.with_name(f"unfinished-{tarball.name}")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    if apt_cache.running() is not None:
        command.append(f'--aptopt=Acquire::http::Proxy "http://127.0.0.1:{apt_cache.PORT}"')
        # mmdebstrap leaves its apt options in the tree; but the site decides about a host's proxy.
        command.append('--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"')
    command += [f'--customize-hook=sh {inputs.joinpath("customize.sh")} "$1"', SUITE, str(unfinished)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=surroundings.outward()
        )
        if done.returncode:
            raise PlatformError(
                "the image of the lab's hosts could not be built",
                where="mmdebstrap",
                next="check that this machine reaches Debian's packages: apt-get update",
                details=done.stderr.strip().splitlines()[-8:],
            )
        unfinished.rename(tarball)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_older(wanted: str) -> None:
    """Remove images and tarballs of earlier inputs, unless a host still uses them."""
    for image in podman.query("image", "ls", "--filter", f"reference={REPOSITORY}"):
        for name in image.get("Names") or ():
            if name != wanted:
                podman.run("image", "rm", name, check=False)
    for tarball in _tarball(wanted).parent.glob("image-*.tar.zst"):
        if tarball != _tarball(wanted):
            tarball.unlink()
