"""Waits until what a stage brought up is healthy on its hosts; repairs what only needs a push."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from platformctl.engine import remote
from platformctl.engine.checking import proofs
from platformctl.engine.checking.proofs import Wanted, asking
from platformctl.engine.checking.proofs.asking import Applied, Round
from platformctl.engine.checking.proofs.health_check import GLOBAL, Answer, Place, failing
from platformctl.engine.fleet import LOCALHOST, Fleet, Host
from platformctl.engine.remote import Reply
from platformctl.engine.stages import Stage

_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 2.0
_REPAIR_SECONDS = 30

Say = Callable[[Sequence[Answer], float], None]
"""Told what is waited for, and for how many seconds it has been."""


@dataclass(frozen=True)
class Verdict:
    """The end of the waiting: the last answer to everything. down: hosts that did not answer."""

    answers: tuple[Answer, ...] = ()
    down: dict[str, Reply] = field(default_factory=dict)

    @property
    def bad(self) -> list[Answer]:
        """The answers that did not become good."""
        return failing(self.answers)

    def words(self, host: str) -> list[str]:
        """What is wrong with a host, and with the whole."""
        return [answer.words for answer in self.bad if answer.subject in (host, GLOBAL)]


async def prove(
    fleet: Fleet,
    stage: Stage,
    hosts: Sequence[str],
    known: Applied,
    in_service: Collection[str] = (),
    say: Say = lambda _bad, _seconds: None,
) -> Verdict:
    """Wait until the checks of a stage pass on these hosts.

    known: stages that ended well, by host. in_service: hosts that worked before; repairs are made only there,
    since on a new host everything is still starting.
    """
    members = fleet.members(stage.group) if stage.first else tuple(hosts)
    wanted = proofs.wanted(fleet, stage, members)
    if not wanted:
        return Verdict()
    keepers = {stage.recorded_on(fleet, host) for host in hosts} - {""}
    assumed = dict.fromkeys(keepers, (stage.name,))
    return await settle(fleet, wanted, known, assumed, in_service, say)


async def settle(
    fleet: Fleet,
    wanted: Sequence[Wanted],
    known: Applied | None = None,
    assumed: Applied | None = None,
    in_service: Collection[str] = (),
    say: Say = lambda _bad, _seconds: None,
    patience: Callable[[Wanted], float] = lambda each: each.check.patience,
) -> Verdict:
    """Ask until everything is fine, or until all that is not fine had its time."""
    started = time.monotonic()
    pause = _FIRST_PAUSE
    round_ = await asking.ask(fleet, wanted, known=known, assumed=assumed)
    await _repair(fleet, round_, in_service)
    last = {_key(answer): answer for answer in round_.answers}
    down = dict(round_.down)
    peers = {peer.name for each in wanted for peer in _peers(fleet, each)}
    known = {**{name: round_.applied.get(name, ()) for name in peers}, **(known or {})}
    while bad := failing(list(last.values())):
        spent = time.monotonic() - started
        open_ = [each for each in wanted if any(_of(each, answer) for answer in bad)]
        if all(spent >= patience(each) for each in open_):
            break
        say(bad, spent)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        again = [Wanted(each.stage, each.check, _again(each, bad)) for each in open_]
        round_ = await asking.ask(fleet, again, known=known, assumed=assumed)
        last |= {_key(answer): answer for answer in round_.answers}
        down |= round_.down
        # A host that went away meanwhile is reported as such.
        last = {key: answer for key, answer in last.items() if answer.subject not in down}
    return Verdict(tuple(last.values()), down)


def _peers(fleet: Fleet, each: Wanted) -> list[Host]:
    hosts = (fleet.hosts[name] for name in each.hosts if name in fleet.hosts)
    return [peer for host in hosts for peer in each.check.peers(fleet, host)]


def _key(answer: Answer) -> tuple[str, str, str]:
    return answer.stage, answer.check.name, answer.subject


def _of(each: Wanted, answer: Answer) -> bool:
    return answer.check == each.check and answer.stage == each.stage.name


def _again(each: Wanted, bad: Sequence[Answer]) -> tuple[str, ...]:
    """The hosts on which a check was not good."""
    subjects = {answer.subject for answer in bad if answer.check == each.check}
    return each.hosts if GLOBAL in subjects else tuple(name for name in each.hosts if name in subjects)


async def _repair(fleet: Fleet, round_: Round, in_service: Collection[str]) -> None:
    """Run the repairs of checks that failed, once on each host."""
    scripts = {
        (answer.subject, answer.check.repair): answer
        for answer in failing(round_.answers)
        if answer.check.repair and answer.check.place is Place.HOST and answer.subject in in_service
    }
    await remote.together(
        remote.run(fleet.hosts[host].connection, f"NODE={host}\n{text}", seconds=_REPAIR_SECONDS)
        for host, text in scripts
        if host != LOCALHOST
    )


def waits(bad: Sequence[Answer]) -> str:
    """What is waited for, in one line."""
    first = bad[0]
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    where = f" of {first.subject}" if first.subject else ""
    return f"waits for {first.check.name}{where}: {first.outcome.found}{more}"
