"""What file system is at the folder of the home directories, asked so that a dead server hangs nobody."""

from __future__ import annotations

import json
import os
import pathlib
import re
import select
import signal
import stat
import time
from typing import Any

MARKER = ".platformctl-shared-home"
_SECONDS = 5.0
_ESCAPED = re.compile(r"\\([0-7]{3})")


def look(path: str, seconds: float = _SECONDS) -> dict[str, Any]:
    """Mount, size and identity of the file system at `path`; `error` says why it cannot be used."""
    found = _bounded(path, seconds)
    return {"path": path, **_mount(found.pop("real", path)), **found}


def _bounded(path: str, seconds: float) -> dict[str, Any]:
    """Ask in a child: a file system whose server is away keeps whoever asks, and even kill waits."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_ask(path)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    deadline, answer = time.monotonic() + seconds, b""
    try:
        while select.select([reading], [], [], max(deadline - time.monotonic(), 0))[0]:
            part = os.read(reading, 65536)
            if not part:
                break
            answer += part
    finally:
        os.close(reading)
    # Not waited for: it ends when the file system lets it.
    os.kill(child, signal.SIGKILL)
    try:
        result: dict[str, Any] = json.loads(answer)
    except ValueError:
        return {"error": f"does not answer within {seconds:.0f} s"}
    return result


def _ask(path: str) -> dict[str, Any]:
    try:
        real = os.path.realpath(path)
        status = os.stat(real)  # noqa: PTH116 - one import less in a child that may hang
        if not stat.S_ISDIR(status.st_mode):
            return {"error": "is not a folder"}
        # What the client has in its cache may be old; opening the folder asks the server.
        with os.scandir(real) as entries:
            next(entries, None)
        status, size = os.stat(real), os.statvfs(real)  # noqa: PTH116
    except OSError as error:
        return {"error": (error.strerror or str(error)).lower()}
    return {
        "real": real,
        "inode": status.st_ino,
        "changed": status.st_ctime_ns,
        "free": size.f_bavail * size.f_frsize,
        # Some file systems make inodes as they need them, and count none.
        "free_inodes": size.f_favail if size.f_files else None,
        "read_only": bool(size.f_flag & os.ST_RDONLY),
        "marker": _marker(real),
    }


def _marker(real: str) -> str:
    try:
        return (pathlib.Path(real) / MARKER).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _mount(path: str) -> dict[str, Any]:
    """The last mount that covers the path, by the kernel's table, which asks no server."""
    found = {"mount": "/", "type": "", "source": "", "options": []}
    for line in (
        pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    ):
        own, _, rest = line.partition(" - ")
        fields, (kind, source, _) = own.split(), rest.split(" ", 2)
        point = _unescaped(fields[4])
        covers = path == point or path.startswith(point.rstrip("/") + "/")
        if covers and len(point) >= len(str(found["mount"])):
            options = fields[5].split(",")
            found = {"mount": point, "type": kind, "source": _unescaped(source), "options": options}
    return found


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), text)
