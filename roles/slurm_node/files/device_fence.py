#!/usr/bin/python3
"""Keep jobs of Slurm from devices of this host that Kubernetes owns.

Called with the node's name and the device files that no job may open, before slurmd starts; without files it
opens all that it closed before. Slurm itself keeps a job only from devices of gres.conf, which it offers to
other jobs; the devices here are not Slurm's to offer. With control groups of version 1 the group above those
of all jobs is closed: a group below can never have more. With version 2 the same is a list of what may be
opened, in the settings of the scope of all jobs.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path("/")
CONTROLLER = "sys/fs/cgroup/devices"
STATE = "run/platformctl-closed-devices"
DROP_IN = "run/systemd/system/{}.d/50-platformctl-devices.conf"

Number = tuple[str, int, int]
"""Kind (`c` or `b`), major and minor number."""


def groups(node: str) -> tuple[str, str]:
    """The group above those of all jobs, which Slurm makes if it is not there.

    Its name depends on how Slurm was built. Debian's has the node's name in it.
    """
    return "slurm", f"slurm_{node}"


def scopes(node: str) -> tuple[str, str]:
    """The scope of all jobs, with version 2."""
    return "slurmstepd.scope", f"{node}_slurmstepd.scope"


def number(path: Path) -> Number | None:
    """The number of a device; None if there is no such device now, so that nobody can open it."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISCHR(found.st_mode) and not stat.S_ISBLK(found.st_mode):
        return None
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b"
    return kind, os.major(found.st_rdev), os.minor(found.st_rdev)


def rule(device: Number) -> str:
    """A device as the control groups of version 1 name it."""
    kind, major, minor = device
    return f"{kind} {major}:{minor} rwm"


def allowed(
    closed: Iterable[Number], majors: Mapping[str, str], there: Iterable[tuple[str, Number]]
) -> list[str]:
    """The values of DeviceAllow for all devices but the closed ones.

    majors: what /proc/devices calls each kind and major number, such as {"c 195": "nvidia"}. there: the
    devices of the host, by their paths. A major number of which a device is closed is listed device by
    device.
    """
    closed = set(closed)
    partly = {f"{kind} {major}" for kind, major, _ in closed}
    words = {"c": "char", "b": "block"}
    groups = {f"{words[key[0]]}-{name} rwm" for key, name in majors.items() if key not in partly}
    single = {
        f"{path} rwm"
        for path, device in there
        if f"{device[0]} {device[1]}" in partly and device not in closed
    }
    return sorted(groups) + sorted(single)


def majors(text: str) -> dict[str, str]:
    """Kinds and major numbers by the text of /proc/devices."""
    found, kind = {}, "c"
    for line in text.splitlines():
        words = line.split()
        if line.startswith(("Character", "Block")):
            kind = line[0].lower()
        elif len(words) == 2:
            found[f"{kind} {words[0]}"] = words[1]
    return found


def close_v1(root: Path, node: str, closed: Sequence[Number]) -> None:
    """Close devices for the groups of all jobs, and open those that were closed before and are not now."""
    state = root / STATE
    wanted = [rule(device) for device in closed]
    before = state.read_text().splitlines() if state.exists() else []
    # First, so that a kill in between leaves nothing closed that is not known to be.
    state.write_text("".join(f"{line}\n" for line in dict.fromkeys([*before, *wanted])))
    for name in groups(node):
        group = root / CONTROLLER / name
        group.mkdir(parents=True, exist_ok=True)
        for line in wanted:
            (group / "devices.deny").write_text(line)
        for line in before:
            if line not in wanted:
                (group / "devices.allow").write_text(line)
    state.write_text("".join(f"{line}\n" for line in wanted))


def close_v2(root: Path, node: str, closed: Sequence[Number]) -> list[list[str]]:
    """Write the settings of the scope of all jobs; returns the commands that bring them into effect."""
    properties = ["DeviceAllow="]
    if closed:
        named = majors((root / "proc/devices").read_text())
        values = allowed(closed, named, devices(root / "dev"))
        properties = ["DevicePolicy=strict", *properties, *(f"DeviceAllow={value}" for value in values)]
    for scope in scopes(node):
        drop_in = root / DROP_IN.format(scope)
        if closed:
            drop_in.parent.mkdir(parents=True, exist_ok=True)
            drop_in.write_text("".join(f"{line}\n" for line in ["[Scope]", *properties]))
        else:
            drop_in.unlink(missing_ok=True)
    change = ["systemctl", "set-property", "--runtime"]
    return [["systemctl", "daemon-reload"], *([*change, scope, *properties] for scope in scopes(node))]


def devices(folder: Path) -> list[tuple[str, Number]]:
    """The devices below a folder, by their paths."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink() and (device := number(path)):
            found.append((str(path), device))
    return found


def main(node: str, *paths: str) -> int:
    """Close the devices at these paths; a path where no device is now is told and left out."""
    numbers = {path: number(Path(path)) for path in paths}
    for path, device in numbers.items():
        if device is None:
            sys.stderr.write(f"{path} is no device now: it is closed when slurmd starts next\n")
    closed = [device for device in numbers.values() if device is not None]
    if (ROOT / CONTROLLER).is_dir():
        close_v1(ROOT, node, closed)
        return 0
    for command in close_v2(ROOT, node, closed):
        # A scope is there only once slurmd has started it; until then the drop-in says it all.
        missing_is_fine = command[1] == "set-property"
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not missing_is_fine:
            sys.stderr.write(done.stderr)
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
