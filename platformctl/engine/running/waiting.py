"""Says what a silent task waits for, by asking the hosts on which it runs.

While a stage says nothing for some seconds, a few of the hosts that have not finished its task are asked over
the connection that is open anyway. What they answer becomes an event of the run. As long as a stage is not
silent, nobody is asked.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.running.journal import Journal

_FIRST_SECONDS, _NEXT_SECONDS, _LATER_SECONDS = 5.0, 5.0, 15.0
# After this time a task is known to be slow, and is asked less often.
_LONG_SECONDS = 60.0
_MOST_HOSTS = 4


@dataclass(frozen=True)
class Wait:
    """What a host waits for: words, and a detail that changes often."""

    words: str
    detail: str = ""


class Watch:
    """Watches one stage while it runs. pending: the hosts that its present task has not finished on."""

    def __init__(
        self, fleet: Fleet, journal: Journal, stage: str, pending: Callable[[], Iterable[str]]
    ) -> None:
        self._fleet = fleet
        self._journal = journal
        self._stage = stage
        self._pending = pending
        self._heard = time.monotonic()
        self._told: dict[Wait, list[str]] = {}
        self._said: set[tuple[str, str]] = set()

    def heard(self, begins: bool = False) -> None:
        """The stage said something. begins: a task began."""
        self._heard = time.monotonic()
        self._told = {}
        if begins:
            self._said = set()

    async def run(self) -> None:
        """Ask whenever the stage is silent, until cancelled."""
        asked = 0.0
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            silent = now - self._heard
            pause = _NEXT_SECONDS if silent < _LONG_SECONDS else _LATER_SECONDS
            if silent >= _FIRST_SECONDS and now - asked >= pause:
                asked = now
                await self._tell()

    async def _tell(self) -> None:
        """Ask, and report what is new."""
        heard = self._heard
        hosts = [name for name in self._pending() if name in self._fleet.hosts][:_MOST_HOSTS]
        answers = await remote.together(ask(self._fleet, name, self._stage) for name in hosts)
        by_wait: dict[Wait, list[str]] = {}
        for name, waits in zip(hosts, answers, strict=True):
            for wait in waits:
                by_wait.setdefault(wait, []).append(name)
        if heard != self._heard:
            return  # it has spoken meanwhile
        for wait, names in by_wait.items():
            if self._told.get(wait) == names:
                continue
            told = {(wait.words, name) for name in names}
            self._journal.emit(
                "waiting",
                stage=self._stage,
                hosts=names,
                words=wait.words,
                detail=wait.detail,
                seconds=round(time.monotonic() - heard),
                new=not told <= self._said,
            )
            self._said |= told
        self._told = by_wait


async def ask(fleet: Fleet, name: str, stage: str) -> list[Wait]:
    """What the stage waits for on a host; nothing if the host does not say."""
    reply = await remote.run(fleet.hosts[name].connection, "exec python3 -I -S -", _source(), seconds=10)
    try:
        answer = json.loads(reply.out) if reply.code == 0 else {}
        for kind in ("notes", "runs"):
            own = [said for said in answer.get(kind, ()) if said.get("stage") in ("", stage)]
            if own:
                return [Wait(str(said["words"]), str(said.get("detail", ""))) for said in own]
        return []
    except (ValueError, AttributeError, KeyError, TypeError):
        return []


@cache
def _source() -> str:
    return Path(__file__).with_name("waiting_probe.py").read_text()
