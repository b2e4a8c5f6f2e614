"""Images of the site's registry, unpacked as plain files: once for each user and node.

They lie under /var/tmp/platform-images-UID and are removed after 30 days without use. Every blob is checked
against its digest. When the registry is silent, an image that is here already is used as it is.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from platform_run_image import settings

# Where the host's own programs are; the job's PATH is what the job makes of it.
HOST_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
CACHES = Path("/var/tmp")  # noqa: S108
KEPT_SECONDS = 30 * 24 * 3600
# Before a digest: an image that is not whole, since it is being pulled or removed, or this was killed.
PARTIAL = "pull-"
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# How a layer's first bytes tell its compression, and the option of tar for it.
COMPRESSIONS = {b"\x28\xb5\x2f\xfd": "--zstd", b"\x1f\x8b": "--gzip"}


class ImageError(Exception):
    """The image cannot be had; the message says why."""


def parse(name):
    """Return the repository in the site's registry and the tag or digest of an image's name."""
    name, _, digest = name.removeprefix("docker://").partition("@")
    head, slash, rest = name.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        head, rest = "docker.io", name if slash else f"library/{name}"
    rest, colon, tag = rest.partition(":")
    if head in ("index.docker.io", "registry-1.docker.io"):
        head = "docker.io"
    if head == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    repository = rest if head == settings.REGISTRY else f"{head}/{rest}"
    return repository, digest or (tag if colon else "latest")


def fetch(url, accept="*/*"):
    """Open a URL of the registry. An HTTP error becomes an ImageError in words; silence stays an OSError."""
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310
    try:
        return urllib.request.urlopen(request, timeout=60)  # noqa: S310
    except urllib.error.HTTPError as error:
        reason = "there is no such image" if error.code == 404 else f"it answered {error.code} {error.reason}"
        raise ImageError(f"{reason} in the registry ({url})") from error


class Cache:
    """The user's unpacked images on this node."""

    def __init__(self):
        self.root = CACHES / f"platform-images-{os.getuid()}"
        self.root.mkdir(mode=0o700, exist_ok=True)
        found = self.root.lstat()
        # /var/tmp is everybody's: another user may have laid a trap under this name.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise ImageError(
                f"{self.root} is not a private folder of {os.getuid()}; remove it or ask who made it"
            )

    def lock(self, digest, how):
        """Return a locked file descriptor of an image, or None if `how` says not to wait and it is in use."""
        descriptor = os.open(self.root / f"{digest}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def remember(self, name, digest):
        """Keep which image a name meant, for when the registry does not answer."""
        descriptor, temporary = tempfile.mkstemp(prefix="naming-", dir=self.root)
        with os.fdopen(descriptor, "w") as file:
            file.write(digest)
        Path(temporary).rename(self.root / f"name-{urllib.parse.quote(name, safe='')}")

    def recall(self, name):
        """Return which image a name meant when the registry answered last, if it is still here."""
        path = self.root / f"name-{urllib.parse.quote(name, safe='')}"
        digest = path.read_text() if path.exists() else ""
        return digest if digest and (self.root / digest).is_dir() else None

    def partial(self, digest):
        """Return where an image lies while it is not whole; only for who has the image's lock."""
        return self.root / f"{PARTIAL}{digest}"

    def prune(self):
        """Remove images that nobody has used for long and nobody uses now, and what killed jobs left of some.

        Other jobs may do the same at the same time, and no job fails because of it.
        """
        for entry in list(self.root.iterdir()):
            with contextlib.suppress(OSError):
                if unwanted(entry):
                    self._remove(entry)

    def _remove(self, entry):
        digest = entry.name.removeprefix(PARTIAL)
        descriptor = self.lock(digest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if descriptor is None:
            return
        try:
            # A job may have taken it up again before the lock was here.
            if unwanted(entry):
                remove(self.partial(digest))
                if entry.exists():
                    # At once: a kill must not leave half of it under the name of a whole one.
                    entry.rename(self.partial(digest))
                    remove(self.partial(digest))
        finally:
            os.close(descriptor)


def unwanted(entry):
    """Whether an entry of the cache is an image that is not whole, or that nobody has used for long."""
    if entry.name.startswith(PARTIAL):
        return entry.is_dir()
    used = entry / "used"
    return used.exists() and time.time() - used.stat().st_mtime >= KEPT_SECONDS


def remove(folder):
    """Remove a folder of image files with all that is in it, as far as that is possible."""
    open_folders(folder)
    shutil.rmtree(folder, ignore_errors=True)


def open_folders(root):
    """Let the owner into all folders: without, neither the next layer nor the cache's cleaning gets in."""
    for folder, names, _ in os.walk(root):
        for name in names:
            inner = Path(folder, name)
            mode = inner.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                inner.chmod(stat.S_IMODE(mode) | 0o700)


def resolve(repository, reference):
    """Return the digest and the manifest of an image for this machine's processor."""
    base = f"https://{settings.REGISTRY}/v2/{repository}/manifests"
    for _ in range(2):
        with fetch(f"{base}/{reference}", ", ".join(MANIFESTS)) as answer:
            body = answer.read()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise ImageError(f"the manifest that the registry gave for {reference} has another digest")
        manifest = json.loads(body)
        if "manifests" not in manifest:
            return digest, manifest
        machine = MACHINES.get(platform.machine(), platform.machine())
        fitting = [
            entry["digest"]
            for entry in manifest["manifests"]
            if entry.get("platform", {}).get("architecture") == machine
            and entry.get("platform", {}).get("os") == "linux"
        ]
        if not fitting:
            raise ImageError(f"{repository} has no image for {machine}")
        reference = fitting[0]
    raise ImageError(f"{repository}: an index names an index")


def download(repository, digest, target):
    """Write a blob to a file and check its digest."""
    seen = hashlib.sha256()
    url = f"https://{settings.REGISTRY}/v2/{repository}/blobs/{digest}"
    with fetch(url) as answer, target.open("wb") as file:
        while block := answer.read(1 << 20):
            seen.update(block)
            file.write(block)
    if f"sha256:{seen.hexdigest()}" != digest:
        raise ImageError(f"a blob of {repository} came with a wrong digest (wanted {digest})")


def tar(layer, *options):
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


def clear_the_way(layer, root):
    """Remove from the lower layers what this one hides; refuse one that would write through their links."""
    for entry in tar(layer, "--list").splitlines():
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


def unpack(layer, root, first):
    """Unpack a layer over those below it."""
    if not first:
        clear_the_way(layer, root)
    tar(
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
    open_folders(root.parent)


def make_folder(root, name):
    """Make a folder of the image; links on the way that lead out of it give way to folders."""
    place = root
    for part in Path(name).parts:
        place /= part
        if place.is_symlink() and not place.resolve().is_relative_to(root):
            place.unlink()
        place.mkdir(exist_ok=True)


def add_mount_points(root):
    """Make what runners mount over: folders, and files of /etc that they replace."""
    binds = [bind.strip("/") for bind in settings.BINDS]
    for name in ("dev", "etc", "proc", "sys", "tmp", "var/tmp", *binds):
        make_folder(root, name)
    for name in ("hosts", "resolv.conf", "passwd", "group"):
        place = root / "etc" / name
        if place.is_symlink():
            place.unlink()
        place.touch()


def pull(cache, repository, digest, manifest):
    """Unpack an image beside its place in the cache, then move it there whole. Its lock is held."""
    work = cache.partial(digest)
    remove(work)
    try:
        image = work / "image"
        root = (image / "root").resolve()
        root.mkdir(parents=True)
        download(repository, manifest["config"]["digest"], image / "config.json")
        for number, layer in enumerate(manifest["layers"]):
            download(repository, layer["digest"], work / "layer")
            unpack(work / "layer", root, first=number == 0)
        add_mount_points(root)
        (image / "used").touch()
        image.rename(cache.root / digest)
    finally:
        remove(work)


def obtain(cache, name):
    """Return the folder of an image, pulled if needed, and keep it from cleaning while this process lives."""
    repository, reference = parse(name)
    manifest = None
    try:
        digest, manifest = resolve(repository, reference)
        digest = digest.replace(":", "-")
    except OSError as error:
        digest = cache.recall(name)
        if digest is None:
            raise ImageError(f"the registry {settings.REGISTRY} does not answer: {error}") from error
        sys.stderr.write(
            f"platform-run-image: the registry does not answer; using the {name} of the last time\n"
        )
    else:
        cache.remember(name, digest)
    descriptor = cache.lock(digest, fcntl.LOCK_SH)
    image = cache.root / digest
    if not image.is_dir():
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not image.is_dir():
            if manifest is None:
                raise ImageError(f"the registry {settings.REGISTRY} does not answer")
            pull(cache, repository, digest, manifest)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    (image / "used").touch()
    os.set_inheritable(descriptor, True)
    return image


def command(config, words):
    """Return the words, or else the entry point of an image's configuration."""
    found = words or [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    if not found:
        raise ImageError("the image has no entry point: say which command to run after --")
    return found
