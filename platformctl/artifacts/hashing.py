"""Digests of files and of plain values. All digests are lower-case hex sha256, without a prefix."""

import hashlib
import json
from pathlib import Path
from typing import Any


def hash_bytes(content: bytes) -> str:
    """Digest of bytes."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """Digest of a JSON value, independent of the order of its keys."""
    return hash_bytes(canonical_json(value))


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def hash_tree(folder: Path, pattern: str = "*") -> str:
    """Digest of the names and contents of the files below a folder that match a glob pattern."""
    files = sorted(
        path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts
    )
    return hash_value([[path.relative_to(folder).as_posix(), hash_file(path)] for path in files])
