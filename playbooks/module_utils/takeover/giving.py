"""Gives a host back: stops what platformctl started, and restores what its record says was there before."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.takeover import host, moving, packages, record, taking, units


def stop(names: Sequence[str]) -> list[str]:
    """Stop and disable units that platformctl runs; those of others that we only use stay as they are."""
    before, taken = record.read(record.SERVICES), record.read(record.TAKEOVER)
    done = []
    for unit in names:
        known = before.get(unit, {})
        if shared(unit, taken) and known.get("active"):
            continue
        if taking.stop(unit, disable=not (shared(unit, taken) and known.get("enabled"))):
            done.append(f"stopped {unit}")
    return done


def shared(unit: str, taken: dict[str, Any]) -> bool:
    """Whether a unit is somebody else's that we only use."""
    return unit in taken.get("kept", ()) or unit.rpartition(".")[0] in taken.get("beside", ())


def restore(forget: bool = True) -> dict[str, Any]:
    """Bring back what was there; `left` says what could not be, in words.

    forget: the record goes then. Otherwise it stays, for a reset that may have to be repeated. RuntimeError:
    another run takes the host on, or gives it back.
    """
    with host.alone("takeover"):
        return _restore(forget)


def _restore(forget: bool) -> dict[str, Any]:
    services, taken = record.read(record.SERVICES), record.read(record.TAKEOVER)
    done: list[str] = []
    left: list[str] = []
    for path in taken.get("masked", ()):
        name, folder = path.rpartition("/")[2], path.split("/")[-2]
        link = host.at(f"/etc/systemd/system/{folder}/{name}")
        if host.nowhere(f"/etc/systemd/system/{folder}/{name}"):
            link.unlink()
            done.append(f"put {path} in force again")
    for path, aside in taken.get("moved", {}).items():
        words = _bring_back(path, aside)
        (left if words else done).append(words or f"moved {path} back")
        if not words:
            # The next reset, if one must follow, finds it there and leaves it alone.
            record.add(record.TAKEOVER, {"returned": [path]})
    gone = _packages(done, left)
    host.run("systemctl", "daemon-reload")
    for unit, before in services.items():
        words = _service(unit, before, unit in taken.get("kept", ()))
        if words:
            (left if "failed" in words else done).append(words)
    if left:
        record.write(record.LEFT, {"left": left, "gone": dict(gone)})
    else:
        host.at(f"{record.BEFORE}/{record.LEFT}").unlink(missing_ok=True)
    if forget:
        end()
    return {"done": done, "left": left}


def end() -> None:
    """End the record of a host on which all is undone, except what could not be brought back."""
    if stayed := record.read(record.LEFT):
        _keep(record.read(record.TAKEOVER).get("moved", {}), stayed.get("gone", {}))
    else:
        _forget("lock")


def _bring_back(path: str, aside: str) -> str:
    """Move something back; words if it stays where it is."""
    try:
        return _moved_back(path, aside)
    except (OSError, RuntimeError) as error:
        words = getattr(error, "strerror", None) or error
        return f"{path} could not be moved back ({words}); what was there before is in {aside}"


def _moved_back(path: str, aside: str) -> str:
    source, target = host.at(aside), host.at(path)
    taken = f"{path} has data of the installation, so what was there before stays in {aside}"
    if moving.returning(source):
        moving.fill(source, target)
        return ""
    if not os.path.lexists(source):
        moving.unstage(target)
        return ""
    moving.drop_staged(target)
    if target.is_dir() and not target.is_symlink():
        if host.filled(path):
            return taken
        # It may have become a mount point since, as /var/lib/kubelet does, and cannot be replaced.
        mounted = host.mounted(target)
        for entry in target.iterdir():
            if not (mounted and entry.name == moving.LOST):
                shutil.rmtree(entry)
        if mounted:
            moving.fill(source, target)
            return ""
        target.rmdir()
    elif os.path.lexists(target):
        target.unlink()
    moving.move(source, target)
    return ""


def _forget(*kept: str) -> None:
    """Remove the host's record, except these parts. The lock of the run that resets lies there, too."""
    folder = host.at(record.FOLDER)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    with contextlib.suppress(OSError):  # the lock is in it, or it was never made
        folder.rmdir()


def _keep(moved: Mapping[str, str], gone: Mapping[str, str]) -> None:
    """Remember what could not be brought back, and nothing else: the next reset tries again."""
    asides = {
        path: aside
        for path, aside in moved.items()
        if os.path.lexists(host.at(aside)) or moving.returning(host.at(aside))
    }
    _forget("lock", "before")
    for name in (record.SERVICES, "files.json", "accounts.json"):
        host.at(f"{record.BEFORE}/{name}").unlink(missing_ok=True)
    record.write(record.TAKEOVER, {"moved": asides})
    record.write(record.PACKAGES, {"removed": dict(gone)})


def _packages(done: list[str], left: list[str]) -> dict[str, str]:
    """Install again what the takeover removed or changed, where apt still has it; returns what it has not."""
    known, present = record.read(record.PACKAGES), packages.installed()
    lost: dict[str, str] = {}
    gone = {
        name: version for name, version in known.get("removed", {}).items() if present.get(name) != version
    }
    changed = {**known.get("upgraded", {}), **known.get("downgraded", {})}
    wanted = {**gone, **{name: version for name, version in changed.items() if present.get(name) != version}}
    if wanted and not _install([f"{name}={version}" for name, version in wanted.items()]):
        for name, version in wanted.items():
            if not _install([f"{name}={version}"]):
                left.append(f"apt no longer has {name} {version}: install it by hand")
                lost[name] = version
                continue
            done.append(f"installed {name} {version} again")
    elif wanted:
        done.append(f"installed {', '.join(wanted)} again")
    for name, details in known.get("packages", {}).items():
        if name in gone and details.get("auto"):
            host.run("apt-mark", "auto", name)
    for name in known.get("held", {}):
        host.run("apt-mark", "hold", name)
        done.append(f"put {name} on hold again")
    return lost


def _install(names: Sequence[str]) -> bool:
    options = (
        "--quiet",
        "--assume-yes",
        "--no-install-recommends",
        "--allow-downgrades",
        "-o",
        "DPkg::Lock::Timeout=300",
    )
    return bool(host.run("apt-get", *options, "install", *names, seconds=600)[0] == 0)


def _service(unit: str, before: dict[str, Any], kept: bool) -> str:
    """Bring a unit to its former state; what was done or failed, in words; empty for nothing."""
    state = units.states([unit]).get(unit, {})
    if state.get("LoadState") == "not-found":
        return f"{unit} failed to come back: its package or file is gone" if before.get("active") else ""
    verbs = []
    if before.get("enabled") and not units.enabled(state):
        verbs.append("enable")
    if before.get("active"):
        # It still runs with our configuration, or does not run.
        verbs += ["restart"] if kept else [] if units.running(state) else ["start"]
    for verb in verbs:
        code, _, errors = host.run("systemctl", verb, unit, seconds=120)
        if code != 0:
            return f"systemctl {verb} {unit} failed: {errors.strip()}"
    return f"{' and '.join(verbs)} {unit}" if verbs else ""
