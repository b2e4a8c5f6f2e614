"""What commands print: tables and lines for people, JSON for programs, colours that can be switched off.

One Output is made by the root command and reaches the others through Typer's context (`ctx.obj`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table


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

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people, or a JSON list of objects keyed by the column names."""
        if self.json:
            self.document([dict(zip(columns, row, strict=True)) for row in rows])
            return
        table = Table(
            title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for column in columns:
            table.add_column(column.upper(), overflow="fold")
        for row in rows:
            table.add_row(*("" if cell is None else str(cell) for cell in row))
        self.console.print(table)

    def document(self, value: Any) -> None:
        """Print one JSON document."""
        print(json.dumps(value, default=str))

    def event(self, event: Mapping[str, Any]) -> None:
        """Print one event as a line of JSON (newline-delimited), at once."""
        print(json.dumps(event, default=str), flush=True)

    def say(self, message: str) -> None:
        """Tell a person something that is not a result; silent for programs."""
        if not self.json:
            self.console.print(message)

    def remark(self, message: str) -> None:
        """Tell a person something on standard error, in either format."""
        self.remarks.print(message)
