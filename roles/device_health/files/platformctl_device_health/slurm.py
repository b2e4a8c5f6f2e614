"""Slurm's side: the node is drained while a device that Slurm offers is faulty.

Slurm cannot take a single device of gres.conf out of service while jobs run, so the whole node takes no new
job; what runs goes on. A drain is ours only if its reason, and who set it when, are those that were noted
before: a drain of anybody else is never touched, and ours is never left behind.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from platformctl_device_health.follower import PENDING_SECONDS, SETTLED_SECONDS, UnansweredError

Run = Callable[[Sequence[str]], str]
"""Runs a command and returns what it printed. Raises UnansweredError."""

_SECONDS = 10
_STATE = re.compile(r"(?:^| )State=(\S+)")
_REASON = re.compile(r"(?:^| )Reason=(.*) \[([^\s\[\]]+@[^\s\[\]]+)\]")


@dataclass(frozen=True)
class Drain:
    """A drain of ours.

    stamp: who set it when, as Slurm shows it; empty if we ended before that was known. before: the reason
    that the node had though it was in service; it returns with the end of the drain.
    """

    reason: str
    stamp: str = ""
    before: str = ""


@dataclass(frozen=True)
class Shown:
    """The node as Slurm shows it. down: it takes no job without any drain."""

    drained: bool
    down: bool
    reason: str = ""
    stamp: str = ""

    def is_of(self, drain: Drain | None) -> bool:
        """Whether this is the drain that was noted."""
        return bool(
            drain and self.drained and self.reason == drain.reason and drain.stamp in ("", self.stamp)
        )


def parse(node: str, said: str) -> Shown:
    """The node in what scontrol printed. Raises UnansweredError."""
    state = _STATE.search(said)
    if not said.startswith(f"NodeName={node} ") or state is None:
        raise UnansweredError(f"scontrol says {said.strip()[:200]!r} of {node}")
    flags = set(re.sub(r"[*~#!%$@^-]", "", state[1]).split("+"))
    reason = _REASON.search(said)
    return Shown(
        "DRAIN" in flags, bool(flags & {"DOWN", "FAIL"}), *((reason[1], reason[2]) if reason else ())
    )


class Node:
    """A node of Slurm. note: the file that remembers our drain, also over a boot of the host."""

    def __init__(self, name: str, note: Path, run: Run | None = None) -> None:
        self._name = name
        self._note = note
        self._run = run or _command
        self._ours = self._read()

    def bring(self, text: str) -> float | None:
        """Drain the node for this, or end our drain if it is empty. See Follower."""
        if not text and self._ours is None:
            return None
        shown = self._show()
        if not text:
            return self._end(shown)
        ours = self._ours if shown.is_of(self._ours) else None
        if ours is None and (shown.drained or shown.down):
            # Somebody else's doing. If it ends and the fault is still there, the node is drained then.
            return PENDING_SECONDS
        if ours and ours.reason == text:
            self._keep(replace(ours, stamp=shown.stamp))
        else:
            self._drain(text, ours.before if ours else shown.reason, bool(ours))
        return SETTLED_SECONDS

    def details(self) -> str:
        """What Slurm says of the node, with what its jobs hold. Raises UnansweredError."""
        return self._run(["scontrol", "--oneliner", "--details", "show", "node", self._name])

    def _drain(self, text: str, before: str, drained: bool) -> None:
        """Set our drain, or its new reason. Noted before, so that it is known to be ours after a kill."""
        drain = Drain(text, before=before)
        self._keep(drain)
        self._update(f"reason={text}", *(() if drained else ("state=drain",)))
        after = self._show()
        if not after.is_of(drain):
            raise UnansweredError(f"{self._name} is not drained: Slurm has the reason {after.reason!r}")
        self._keep(replace(drain, stamp=after.stamp))

    def _end(self, shown: Shown) -> float | None:
        """End our drain, and nobody else's."""
        ours = self._ours
        if ours and shown.is_of(ours):
            if shown.down:
                # Slurm would take it for up. It ends once the node answers.
                return PENDING_SECONDS
            self._update("state=resume")
            if ours.before:
                self._update(f"reason={ours.before}")
        self._keep(None)
        return None

    def _update(self, *changes: str) -> None:
        self._run(["scontrol", "update", f"nodename={self._name}", *changes])

    def _show(self) -> Shown:
        return parse(self._name, self._run(["scontrol", "--oneliner", "show", "node", self._name]))

    def _read(self) -> Drain | None:
        try:
            return Drain(**json.loads(self._note.read_text()))
        except (OSError, TypeError, ValueError):
            return None

    def _keep(self, drain: Drain | None) -> None:
        if drain == self._ours:
            return
        if drain is None:
            self._note.unlink(missing_ok=True)
        else:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            partial = self._note.with_suffix(".new")
            partial.write_text(json.dumps(asdict(drain)))
            partial.replace(self._note)
        self._ours = drain


def _command(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnansweredError(f"{' '.join(words[:3])}: {error}") from error
    if done.returncode:
        raise UnansweredError(f"{' '.join(words[:3])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
