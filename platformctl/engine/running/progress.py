"""Shows the events of a run: live lines on a terminal, plain lines elsewhere, JSON for programs.

The journal passes every event to one of these views. They keep only what they show.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.markup import escape

from platformctl.console import Output
from platformctl.engine.running.board import Board
from platformctl.engine.running.journal import Event

# Plain lines leave out the tasks of playbooks; the log has them.
_QUIET = ("task", "task_done")
_MARKS = {"ok": "[green]ok[/]", "failed": "[red]failed[/]", "unreachable": "[red]unreachable[/]"}


class View(Protocol):
    """Something that shows events."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...
    def show(self, event: Event) -> None:
        """Show one event."""


class Lines:
    """One line for each event, through `write`."""

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
    """Events as JSON on standard output, one per line."""

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


def view(output: Output, durations: Mapping[str, float]) -> View:
    """The view that fits where the output goes."""
    if output.json:
        return Json(output)
    if output.console.is_terminal:
        return Board(output.console, durations, _sentence)
    return Lines(output.console.print)


def _sentence(event: Event) -> str:
    """An event in words for people (rich markup), or nothing."""
    sentence = _SENTENCES.get(event["event"])
    return sentence(event) if sentence else ""


def _host(event: Event) -> str:
    if event["status"] in ("ok", "changed"):
        return ""
    head = f"  {_mark(event['status'])} {event['host']}: {event['stage']}"
    task, message = str(event.get("task") or ""), str(event.get("message") or "")
    # A step of the engine has no task but its error, which the message begins with.
    parts = [part for part in ("" if message.startswith(task) else task, message) if part]
    lines = [line for part in parts for line in part.splitlines()]
    text = head + "".join(f"\n      {escape(line)}" for line in lines)
    return text + (f"\n      retry: {escape(event['retry'])}" if event.get("retry") else "")


def _waiting(event: Event) -> str:
    """What a stage waits for; a detail that changes all the time is only for a terminal."""
    hosts = ", ".join(event["hosts"])
    return f"  [dim]...[/] {event['stage']} on {hosts}: {escape(event['words'])}" if event["new"] else ""


def _stage_finished(event: Event) -> str:
    bad = {name: event[name] for name in ("failed", "unreachable", "blocked") if event[name]}
    mark = "[red]failed[/]" if event["failed"] else "[yellow]partly[/]" if bad else "[green]done[/]"
    counts = ", ".join(f"{event[name]} {name}" for name in ("ok", "changed", *bad) if event[name])
    return f"{mark:<6} {event['stage']}: {counts} ({event['seconds']:.1f} s)"


def _finished(event: Event) -> str:
    if "error" in event:
        return ""  # printed like every error, with the next step
    if "nodes" in event:
        return f"done with {', '.join(event['nodes'])} in {event['seconds']:.1f} s"
    counts = (
        f"{_counted(event['changed'])} changed, {event['failed']} failed, {event['unreachable']} unreachable"
    )
    # Changes on this machine follow from those on hosts; they are reported only if no host changed.
    told = {name: ends for name, ends in event["local"].items() if name != "changed" or not event["changed"]}
    local = "".join(f"; also {state}: {', '.join(names)}" for state, names in told.items() if names)
    stages = "1 stage" if event["stages"] == 1 else f"{event['stages']} stages"
    return f"{stages} in {event['seconds']:.1f} s: {counts}{local}"


def _counted(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"


def _mark(status: str) -> str:
    return _MARKS.get(status, f"[yellow]{status}[/]")


_SENTENCES: Mapping[str, Callable[[Event], str]] = {
    "started": lambda event: f"site {event['site']}: {_counted(event['hosts'])}\njournal: {event['journal']}",
    "remark": lambda event: escape(str(event["message"])),
    "artifact": lambda event: (
        f"  made {event['name']} in {event['seconds']} s ({event['done']} of {event['of']})"
    ),
    "stage_started": lambda event: f"start  {event['stage']} on {_counted(len(event['hosts']))}",
    "host": _host,
    "waiting": _waiting,
    "stage_finished": _stage_finished,
    "finished": _finished,
}
