"""The output of commands: tables and lines for people, JSON for programs, colours that can be switched off.

The root command makes one Output; the others get it through Typer's context (`ctx.obj`).
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.markup import render
from rich.measure import Measurement
from rich.table import Table

_NARROWEST, _WIDEST = 20, 10_000
_LONG = 300


class Format(StrEnum):
    """How results are written to standard output."""

    TEXT = "text"
    JSON = "json"


@dataclass
class Output:
    """Results go to standard output in the chosen format; remarks for people go to standard error."""

    format: Format = Format.TEXT
    color: bool = True
    verbose: int = 0
    console: Console = field(init=False)
    remarks: Console = field(init=False)

    def __post_init__(self) -> None:
        # None lets rich honour NO_COLOR and dumb terminals; True only switches colours off.
        no_color = None if self.color else True
        self.console = Console(no_color=no_color, highlight=False, soft_wrap=True)
        self.remarks = Console(no_color=no_color, highlight=False, soft_wrap=True, stderr=True)

    @property
    def json(self) -> bool:
        """Whether a program reads the output."""
        return self.format is Format.JSON

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        folded: str = "",
        whole: bool = False,
        kept: Collection[str] = (),
    ) -> None:
        """Print a table for people, or a JSON list of objects keyed by the column names.

        folded: the only column that is wrapped if the terminal is narrow; by default all but those of kept.
        whole: no column is wrapped, even if the terminal is narrow. A long table is written without colours
        and wrapping, which would take seconds.
        """
        rows = list(rows)
        if self.json:
            self.document([dict(zip(columns, row, strict=True)) for row in rows])
            return
        table = Table(
            title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for column in columns:
            least = _NARROWEST if column == folded and not whole else None
            one_line = whole or column in kept or (bool(folded) and column != folded)
            table.add_column(column.upper(), overflow="fold", no_wrap=one_line, min_width=least)
        if len(rows) > _LONG:
            self._write(title, columns, rows)
            return
        for row in rows:
            table.add_row(*("" if cell is None else str(cell) for cell in row))
        if (folded or whole) and (least := self._least_width(table)) > self.console.width:
            table.width = least
        self.console.print(table)

    def _write(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write cells without markup; each column is as wide as its widest cell; the last is not padded."""
        cells = [[_words(cell) for cell in row] for row in rows]
        cells.insert(0, [column.upper() for column in columns])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
            for row in cells
        ]
        print("\n".join([*([title] if title else []), *(line.rstrip() for line in lines)]))

    def _least_width(self, table: Table) -> int:
        """The width that the columns that are not wrapped need."""
        unbounded = self.console.options.update(width=_WIDEST)
        return Measurement.get(self.console, unbounded, table).minimum

    def fields(self, title: str, pairs: Iterable[tuple[str, ...]]) -> None:
        """Print names with their values for people; long values are wrapped beside their name."""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for pair in pairs:
            table.add_row(*pair)
        self.console.print(table)

    def document(self, value: Any) -> None:
        """Print one JSON document."""
        print(json.dumps(value, default=str))

    def event(self, event: Mapping[str, Any]) -> None:
        """Print one event as a line of JSON (newline-delimited), at once."""
        print(json.dumps(event, default=str), flush=True)

    def say(self, message: str) -> None:
        """Print a message for people that is not a result; nothing for programs."""
        if not self.json:
            self.console.print(message)

    def remark(self, message: str) -> None:
        """Print a message for people on standard error, in either format."""
        self.remarks.print(message)


def _words(cell: object) -> str:
    """A cell in one line, without its markup."""
    text = "" if cell is None else str(cell)
    return " ".join((render(text).plain if "[" in text else text).split())
