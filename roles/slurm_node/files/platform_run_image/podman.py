"""Podman without root, over the unpacked image: no image store, no subordinate ids, no fuse.

Podman's own way to put a writable layer over an image asks for a second user id, which a user without
entries in /etc/subuid does not have. So the overlay of the kernel is mounted here, in a user namespace with
the user's id alone, and podman runs inside. The layer and podman's records lie in a tmpfs that
only this command sees: they count as the job's memory, and nothing is left however the job ends.

The container stays in the job's cgroup (--cgroups disabled), so Slurm's limits hold in it and its signals
reach it. That needs a process table of its own, whose first process ignores signals: --init is the first.
/dev and the network are the node's; which devices may be opened, the job's cgroup says. podman-run(1).
"""

import os
from pathlib import Path

from platform_run_image import images, settings
from platform_run_image.unpacked import SCRATCH, Unpacked
from platform_run_image.wishes import NONE, Wishes

# Variables that podman itself gets with other values than the container.
OWN = ("HOME", "XDG_RUNTIME_DIR")
# $1 the mount point of the tmpfs, $2 the unpacked image, then podman's command line.
PREPARE = """\
set -e
scratch=$1 image=$2
shift 2
folder=$PWD
/usr/bin/mount -t tmpfs -o mode=700 platform-run-image "$scratch"
cd "$scratch"
/usr/bin/mkdir upper work image run
/usr/bin/mount -t overlay -o "lowerdir=$image,upperdir=upper,workdir=work,userxattr" platform-run-image image
cd "$folder"
HOME=$scratch XDG_RUNTIME_DIR=$scratch/run exec "$@"
"""


def start(name: str, words: list[str], wanted: Wishes = NONE) -> tuple[list[str], dict[str, str]]:
    """Return the command line and its environment."""
    image = Unpacked(name, wanted)
    variables = image.environment()
    scratch = image.cache / "podman"
    scratch.mkdir(mode=0o700, exist_ok=True)
    arguments = [
        "/usr/bin/unshare",
        "--user",
        "--map-root-user",
        "--mount",
        *("/bin/sh", "-c", PREPARE, "sh", str(scratch), str(image.root)),
        *_podman(scratch),
        *_container(image, variables),
        *(f"--volume={mount}" for mount in wanted.mounts),
        *settings.OPTIONS,
        "--rootfs",
        f"{scratch}/image",
        *images.command(image.config, words, wanted.entrypoint),
    ]
    return arguments, variables | _inside()


def _podman(scratch: Path) -> list[str]:
    """Podman, with its records in the tmpfs and none of its warnings in the job's output."""
    return [
        "/usr/bin/podman",
        "--log-level=fatal",
        f"--root={scratch}/store",
        f"--runroot={scratch}/run",
        "--storage-driver=vfs",
        "--runtime=crun",
        "--cgroup-manager=cgroupfs",
        "--events-backend=none",
    ]


def _container(image: Unpacked, variables: dict[str, str]) -> list[str]:
    """What the container shares with the node. Others can read command lines: no values of the job there."""
    inside = image.inside()
    passed = {key: value for key, value in variables.items() if key not in inside}
    places = ("/dev", *SCRATCH, *settings.BINDS)
    return [
        "run",
        "--rm",
        "--init",
        "--log-driver=passthrough",
        "--cgroups=disabled",
        "--network=host",
        "--ipc=host",
        "--uts=host",
        "--userns=keep-id",
        "--group-add=keep-groups",
        "--security-opt=label=disable",
        *(f"--volume={place}:{place}:rslave" for place in places),
        *(f"--env={key}={value}" if key in OWN else f"--env={key}" for key, value in passed.items()),
        *(f"--env={key}={value}" for key, value in inside.items()),
        f"--workdir={image.folder()}",
        "--entrypoint=[]",
    ]


def _inside() -> dict[str, str]:
    """How podman knows a user namespace that is made already, and whose it is."""
    return {
        "_CONTAINERS_USERNS_CONFIGURED": "done",
        "_CONTAINERS_ROOTLESS_UID": str(os.getuid()),
        "_CONTAINERS_ROOTLESS_GID": str(os.getgid()),
        # Not the user's own settings of podman: the site chose.
        "CONTAINERS_CONF": "/dev/null",
    }
