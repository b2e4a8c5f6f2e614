"""Rows of tables of Jobs: the selection, the order, and the text of the cells."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from platformctl.cli import cluster
from platformctl.cli.cluster import Access
from platformctl.jobs import view

_COLORS = {"Running": "green", "Succeeded": "green", "Failed": "red", "Refused": "red", "Cancelled": "yellow"}


async def listed(access: Access, everyone: bool, everywhere: bool, labels: str = "") -> list[dict[str, Any]]:
    """Jobs of the namespace or of all: the caller's own, or everybody's. labels: a label selector."""
    async with cluster.jobs_of(access) as jobs:
        if everyone:
            return await jobs.list(everywhere, labels)
        who, visible = await asyncio.gather(jobs.whoami(), jobs.list(everywhere, labels))
        return [job for job in visible if view.submitter(job) == who]


def created(job: dict[str, Any]) -> tuple[str, str]:
    """Sorts by creation, then by name."""
    return str(job["metadata"].get("creationTimestamp")), str(job["metadata"]["name"])


def printable(text: str) -> str:
    """Text of users and schedulers without control characters for the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def plain(text: str) -> str:
    """Printable text with its markup escaped."""
    return escape(printable(text))


def escaped(row: Sequence[str]) -> tuple[str, ...]:
    """Cells of printable text, escaped."""
    return tuple(plain(cell) for cell in row)


def colored(row: Sequence[str]) -> tuple[str, ...]:
    """Escaped cells, with phases in their colour."""
    return tuple(f"[{_COLORS[cell]}]{cell}[/]" if cell in _COLORS else plain(cell) for cell in row)
