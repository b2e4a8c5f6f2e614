"""Shows a run on a terminal: one line for each stage, redrawn, and the remaining time.

No line is longer than the terminal is wide: only the last column is cut.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.running import durations
from platformctl.engine.running.journal import Event

_NARROW = 80
_LEAST_NOTE = 6
# The worst end first.
_ENDS = {"failed": "red", "unreachable": "red", "blocked": "yellow", "changed": "green", "ok": "green"}
_MARKS = {"done": "✓", "running": "●", "waiting": "·", "bad": "✗"}
_PLAIN_MARKS = {"done": "+", "running": ">", "waiting": ".", "bad": "x"}


@dataclass
class _Row:
    """One stage. needs: stages on the board that it needs. at: when it began. ends: hosts by end."""

    hosts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    at: float | None = None
    seconds: float = 0.0
    over: bool = False
    task: str = ""
    wait: str = ""
    done: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)

    def take(self, event: Event) -> None:
        """Change by an event of the stage."""
        kind = event["event"]
        if kind == "task":
            self.task, self.done, self.wait = event["task"], set(), ""
        elif kind == "task_done":
            self.done.add(event["host"])
            self.wait = ""
        elif kind == "waiting":
            self.wait = ": ".join(part for part in (event["words"], event["detail"]) if part)
        elif kind == "host":
            self.ends[event["status"]] += 1
        elif kind == "stage_finished":
            self.over, self.seconds = True, event["seconds"]

    @property
    def state(self) -> str:
        """A key of _MARKS."""
        if any(self.ends[end] for end in ("failed", "unreachable", "blocked")):
            return "bad"
        return "done" if self.over else "waiting" if self.at is None else "running"


class Board:
    """A line for each stage of the run. Failures stay above the lines.

    say: an event in words, or nothing. expected: seconds by stage.
    """

    def __init__(
        self,
        console: Console,
        expected: Mapping[str, float],
        say: Callable[[Event], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._expected = expected
        self._say = say
        self._clock = clock
        self._began = clock()
        self._rows: dict[str, _Row] = {}
        self._finished = False
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Change the stage's line. A message that people must read is printed above the lines and stays."""
        self._take(event)
        kind = event["event"]
        if kind == "finished":
            self._finished = True
            self._live.stop()  # the lines stay, and the summary comes after them
        if kind in ("started", "remark", "host", "finished") and (text := self._say(event)):
            self._live.console.print(text)

    def _take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "planned":
            planned = event["stages"]
            self._rows |= {
                name: _Row(
                    hosts=tuple(stage["hosts"]),
                    needs=tuple(need for need in stage["needs"] if need in planned),
                )
                for name, stage in planned.items()
            }
            return
        row = self._rows.get(event.get("stage", ""))
        if kind == "stage_started":
            row = self._rows.setdefault(event["stage"], _Row(tuple(event["hosts"])))
            row.at = self._clock()
        elif kind == "artifact":  # artefacts are fetched before everything else
            for waiting in self._rows.values():
                waiting.task = f"{event['done']} of {event['of']}: {event['name']}"
        elif row is not None:
            row.take(event)

    def render(self) -> Group:
        """The lines as they are now."""
        if not self._rows:
            return Group()
        total = [] if self._finished else [Text(self._total(), overflow="ellipsis", no_wrap=True)]
        return Group(self._table(), *total)

    def _table(self) -> Table:
        width = self._console.width
        marks = _PLAIN_MARKS if self._console.options.ascii_only else _MARKS
        shown = self._shown()
        gap = 2 if width >= _NARROW else 1
        cells = [self._cells(name, row) for name, row in shown.items()]
        used = (
            1 + gap + sum(max((len(cell[column]) for cell in cells), default=0) + gap for column in range(3))
        )
        table = Table.grid(padding=(0, gap, 0, 0))
        for column in range(4):
            table.add_column(no_wrap=True, justify="right" if column == 3 else "left")
        noted = width - used >= _LEAST_NOTE
        if noted:
            table.add_column(no_wrap=True, overflow="ellipsis", max_width=width - used)
        for (name, result, seconds, note), row in zip(cells, shown.values(), strict=True):
            style = _style(row)
            line = [
                Text(marks[row.state], style),
                Text(name, "dim" if row.state == "waiting" else "bold"),
                Text(result, style),
                Text(seconds),
            ]
            table.add_row(*line, *([Text(note, "dim")] if noted else []))
        return table

    def _shown(self) -> dict[str, _Row]:
        """All stages; if the terminal has too few lines, only those that run or failed."""
        if len(self._rows) + 1 < self._console.height or not self._live.is_started:
            return self._rows
        return {name: row for name, row in self._rows.items() if row.state in ("running", "bad")}

    def _cells(self, name: str, row: _Row) -> tuple[str, str, str, str]:
        """The stage, its progress, its time, and the remaining time with the current task."""
        if row.over or row.state == "bad":
            return name, _result(row), durations.clock(row.seconds) if row.over else "", ""
        expected = self._expected.get(name, 0.0)
        hosts = [host for host in row.hosts if host != LOCALHOST]
        if row.at is None:
            return name, _hosts(len(hosts)), "", f"~{durations.words(expected)}" if expected else ""
        spent = self._clock() - row.at
        left = f"~{durations.words(expected - spent)}" if expected > spent else ""
        note = "  ".join(part for part in (left, row.wait or row.task) if part)
        going = f"{len(row.done)}/{_hosts(len(hosts))}" if hosts else ""
        return name, going, durations.clock(spent), note

    def _total(self) -> str:
        over = sum(row.over for row in self._rows.values())
        now = self._clock()
        # The remaining time does not include failed and blocked stages.
        open_rows = {name: row for name, row in self._rows.items() if not row.over and row.state != "bad"}
        left = durations.remaining(
            {name: row.needs for name, row in open_rows.items()},
            self._expected,
            {name: now - row.at for name, row in open_rows.items() if row.at is not None},
        )
        parts = [f"{over} of {len(self._rows)} stages", durations.clock(now - self._began)]
        return ", ".join([*parts, *([f"about {durations.words(left)} left"] if left >= 1 else [])])


def _result(row: _Row) -> str:
    """The worst end, and the number of hosts with it."""
    total = row.ends.total()
    worst = next((end for end in _ENDS if row.ends[end]), "")
    number = row.ends[worst]
    if total == 1 and row.hosts == (LOCALHOST,):
        return worst
    return f"{number} {worst}" if number == total else f"{number}/{total} {worst}"


def _style(row: _Row) -> str:
    if row.state == "waiting":
        return "dim"
    return next((color for end, color in _ENDS.items() if row.ends[end]), "cyan")


def _hosts(number: int) -> str:
    return f"{number} host" if number == 1 else f"{number} hosts" if number else ""
