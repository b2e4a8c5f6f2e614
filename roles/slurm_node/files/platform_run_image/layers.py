"""Layers of an image, unpacked over each other as plain files of the user."""

import shutil
import subprocess
from pathlib import Path

from platform_run_image import HOST_PATH, ImageError, settings
from platform_run_image.folders import open_up

# How a layer's first bytes tell its compression, and the option of tar for it.
COMPRESSIONS = {b"\x28\xb5\x2f\xfd": "--zstd", b"\x1f\x8b": "--gzip"}


def unpack(layer: Path, root: Path, first: bool) -> None:
    """Unpack a layer over those below it."""
    if not first:
        _clear_the_way(layer, root)
    _tar(
        layer,
        "--extract",
        f"--directory={root}",
        "--no-same-owner",
        "--delay-directory-restore",
        "--exclude=.wh.*",
        "--exclude=./dev/*",
        "--exclude=dev/*",
    )
    # From above: a layer may also say the mode of the image's own folder.
    open_up(root.parent)


def add_mount_points(root: Path) -> None:
    """Make what runners mount over: folders, and files of /etc that they replace."""
    binds = [bind.strip("/") for bind in settings.BINDS]
    for name in ("dev", "etc", "proc", "sys", "tmp", "var/tmp", *binds):
        make_folder(root, name)
    for name in ("hosts", "resolv.conf", "passwd", "group"):
        place = root / "etc" / name
        if place.is_symlink():
            place.unlink()
        place.touch()


def _clear_the_way(layer: Path, root: Path) -> None:
    """Remove from the lower layers what this one hides; refuse one that would write through their links."""
    for entry in _tar(layer, "--list").splitlines():
        folder, _, name = entry.rstrip("/").rpartition("/")
        parent = (root / folder).resolve()
        if not parent.is_relative_to(root):
            raise ImageError(f"a layer reaches out of its image: {entry}")
        if not name.startswith(".wh."):
            continue
        hidden = list(parent.iterdir()) if name == ".wh..wh..opq" else [parent / name.removeprefix(".wh.")]
        for path in hidden:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _tar(layer: Path, *options: str) -> str:
    """Run tar on a layer; return what it lists."""
    with layer.open("rb") as file:
        start = file.read(4)
    compression = [option for magic, option in COMPRESSIONS.items() if start.startswith(magic)]
    done = subprocess.run(
        ["/usr/bin/tar", "--file", str(layer), *compression, *options],
        capture_output=True,
        text=True,
        check=False,
        # Nothing of the job's, such as TAR_OPTIONS; the locale decides how names are listed.
        env={"PATH": HOST_PATH, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise ImageError(f"a layer could not be unpacked: {done.stderr.strip()[-500:]}")
    return done.stdout


def make_folder(root: Path, name: str) -> None:
    """Make a folder of the image; links on the way that lead out of it give way to folders."""
    place = root
    for part in Path(name).parts:
        place /= part
        if place.is_symlink() and not place.resolve().is_relative_to(root):
            place.unlink()
        place.mkdir(exist_ok=True)
