"""Files that only their owner may read, replaced in one step: a reader sees the old one or the new one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace(path: Path, content: bytes, prepare: Callable[[int], None] = lambda _descriptor: None) -> None:
    """Write a file with mode 0600. prepare: called with its descriptor before it gets its name."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            prepare(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
