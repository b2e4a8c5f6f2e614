"""Shows the events of a run: live lines on a terminal, plain lines elsewhere, JSON for programs.

The journal passes every event to one of these; they keep nothing but what they show.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from platformctl.console import Output
from platformctl.engine.running.journal import Event

# A task of a playbook is too much for plain lines; the log has it.
_QUIET = ("task", "task_done")
_MARKS = {"ok": "[green]ok[/]", "failed": "[red]failed[/]", "unreachable": "[red]unreachable[/]"}


class View(Protocol):
    """Something that shows events."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...
    def show(self, event: Event) -> None:
        """Show one event."""


class Lines:
    """One line an event, through `write`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        return None

    def show(self, event: Event) -> None:
        """Print the event, unless it is too small to matter."""
        if event["event"] not in _QUIET and (text := _sentence(event)):
            self._write(text)


class Json:
    """Events as they are, one a line, on standard output."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        return None

    def show(self, event: Event) -> None:
        """Print the event."""
        if event["event"] != "task_done":
            self._output.event(event)


class Board:
    """A line a stage, redrawn: hosts done, time, what remains by the last run's durations, the task."""

    def __init__(self, console: Console, durations: Mapping[str, float]) -> None:
        self._console = console
        self._durations = durations
        self._running: dict[str, dict[str, Any]] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Change the stage's line; what is over moves above the live lines and stays."""
        kind, stage = event["event"], event.get("stage", "")
        if kind == "stage_started":
            self._running[stage] = {
                "hosts": len(event["hosts"]),
                "at": time.monotonic(),
                "task": "",
                "done": set(),
            }
        elif kind == "task" and stage in self._running:
            self._running[stage] |= {"task": event["task"], "done": set()}
        elif kind == "task_done" and stage in self._running:
            self._running[stage]["done"].add(event["host"])
        elif kind == "stage_finished":
            self._running.pop(stage, None)
        if kind not in _QUIET and kind != "stage_started" and (text := _sentence(event)):
            self._live.console.print(text)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for stage, line in self._running.items():
            seconds = time.monotonic() - line["at"]
            expected = self._durations.get(stage, 0.0)
            left = f"about {max(1, round(expected - seconds))} s left" if expected > seconds else ""
            done = f"{len(line['done'])}/{line['hosts']} hosts"
            table.add_row(f"[bold]{stage}[/]", done, f"{seconds:.0f} s", left, escape(str(line["task"]))[:60])
        return table


def view(output: Output, durations: Mapping[str, float]) -> View:
    """The view that fits where the output goes."""
    if output.json:
        return Json(output)
    if output.console.is_terminal:
        return Board(output.console, durations)
    return Lines(output.console.print)


class Durations:
    """Seconds that each stage took when it last ran on this site, from this machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "durations.json"

    def load(self) -> dict[str, float]:
        """By stage; empty before the first run."""
        try:
            return dict(json.loads(self._path.read_text()))
        except (OSError, ValueError):
            return {}

    def save(self, seconds: Mapping[str, float]) -> None:
        """Keep the durations of the stages that ran; the others stay."""
        self._path.write_text(json.dumps({**self.load(), **{k: round(v, 1) for k, v in seconds.items()}}))


def _sentence(event: Event) -> str:
    """An event in words for people (rich markup), or nothing."""
    sentence = _SENTENCES.get(event["event"])
    return sentence(event) if sentence else ""


def _host(event: Event) -> str:
    if event["status"] in ("ok", "changed"):
        return ""
    head = f"  {_mark(event['status'])} {event['host']}: {event['stage']}"
    parts = [part for part in (event.get("task"), event.get("message")) if part]
    text = head + "".join(f"\n      {escape(str(part))}" for part in parts)
    return text + (f"\n      retry: {escape(event['retry'])}" if event.get("retry") else "")


def _stage_finished(event: Event) -> str:
    bad = {name: event[name] for name in ("failed", "unreachable", "blocked") if event[name]}
    mark = "[red]failed[/]" if event["failed"] else "[yellow]partly[/]" if bad else "[green]done[/]"
    counts = ", ".join(f"{event[name]} {name}" for name in ("ok", "changed", *bad) if event[name])
    return f"{mark:<6} {event['stage']}: {counts} ({event['seconds']:.1f} s)"


def _finished(event: Event) -> str:
    if "error" in event:
        return ""  # printed as every error is, with what to do
    counts = ", ".join(f"{_counted(event[name])} {name}" for name in ("changed", "failed", "unreachable"))
    return f"{event['stages']} stages: {counts}, {event['seconds']:.1f} s"


def _counted(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"


def _mark(status: str) -> str:
    return _MARKS.get(status, f"[yellow]{status}[/]")


_SENTENCES: Mapping[str, Callable[[Event], str]] = {
    "started": lambda event: f"site {event['site']}: {_counted(event['hosts'])}, journal {event['journal']}",
    "remark": lambda event: escape(str(event["message"])),
    "artifact": lambda event: (
        f"  made {event['name']} in {event['seconds']} s ({event['done']} of {event['of']})"
    ),
    "stage_started": lambda event: f"start  {event['stage']} on {_counted(len(event['hosts']))}",
    "host": _host,
    "stage_finished": _stage_finished,
    "finished": _finished,
}
