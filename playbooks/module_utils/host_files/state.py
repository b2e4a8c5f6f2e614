"""Small JSON documents below /var/lib/platformctl, the folder of what a host remembers.

Two stages may work on one host at the same time, so a document is read and changed under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

FOLDER: pathlib.Path = pathlib.Path(os.environ.get("PLATFORMCTL_STATE_FOLDER", "/var/lib/platformctl"))


def folder(*names: str) -> pathlib.Path:
    """A folder of the host's state, made if it is missing; only root may look into it."""
    path = FOLDER
    for name in ("", *names):
        path = path / name
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
    return path


def read(path: pathlib.Path) -> dict[str, Any]:
    """The document at this path; empty if there is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise OSError(f"{path} is damaged ({error}): move it away, then run the command again") from None
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Keep other tasks on this host from changing what is kept. Stages may run at the same time."""
    with (FOLDER / ".files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def changed(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The document to change; it replaces the one at this path when the block ends well."""
    folder(*path.parent.relative_to(FOLDER).parts)
    with locked():
        document = read(path)
        before = json.dumps(document, sort_keys=True)
        yield document
        if json.dumps(document, sort_keys=True) != before:
            put(path, as_json(document))


def put(path: pathlib.Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file that is complete before it has its name."""
    unfinished = path.with_name(f"{path.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def as_json(document: Any) -> bytes:
    """A document as it is written."""
    return f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode()
