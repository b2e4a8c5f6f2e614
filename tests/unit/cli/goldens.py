"""Comparison with a committed text; `UPDATE_GOLDEN=1 pytest` writes it again."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def agrees(name: str, text: str) -> None:
    """The text is what the file of that name holds; trailing spaces do not count."""
    path = FOLDER / name
    found = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text(), f"see {path.name}; UPDATE_GOLDEN=1 writes it again"
