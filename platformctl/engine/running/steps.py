"""The stages that are not playbooks: checks, artefacts, charts and smoke jobs, run by the engine itself.

Each returns the result by host. What a step needs is imported when it runs, so that a run with nothing to do
starts fast.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl.console import Format, Output
from platformctl.engine.checking import check
from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.proving import teller
from platformctl.engine.stages import Stage, StageRunner
from platformctl.errors import PlatformError


class _Relay(Output):
    """An output for work in another thread: what it says becomes events of the run."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(format=Format.JSON)
        self._journal = journal
        self._loop = loop

    def event(self, event: Mapping[str, Any]) -> None:
        """Pass the event on."""
        fields = dict(event)
        self._loop.call_soon_threadsafe(lambda: self._journal.emit(fields.pop("event"), **fields))

    def remark(self, message: str) -> None:
        """Pass the remark on."""
        self._loop.call_soon_threadsafe(lambda: self._journal.emit("remark", message=message))


@dataclass(frozen=True)
class Context:
    """What the steps work on.

    verdict: what preflight found when the plan was made, with all hosts of the run; agreed: names that the
    command line accepts to be taken over. variables: what playbooks get beside the inventory's.
    """

    fleet: Fleet
    data: Path
    journal: Journal
    verdict: check.Verdict | None = None
    agreed: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)


def index(fleet: Fleet) -> Mapping[str, Any]:
    """The store's index.json, as far as it concerns this site; empty when nothing is fetched yet."""
    from platformctl.artifacts.store import of_site

    path = fleet.store / "index.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return of_site(content, fleet.chosen_artifacts) if isinstance(content, dict) else {}


async def run(stage: Stage, hosts: tuple[str, ...], context: Context) -> StageResult:
    """Run one step; an expected failure becomes the result of its hosts."""
    started = time.monotonic()
    try:
        results = await _STEPS[stage.runner](context, hosts)
    except PlatformError as error:
        message = str(error.for_site(context.fleet.inventory))
        results = {host: HostResult(Status.FAILED, error.what, message) for host in hosts}
    return StageResult(stage.name, results, time.monotonic() - started)


async def _preflight(context: Context, hosts: tuple[str, ...]) -> Mapping[str, HostResult]:
    verdict = context.verdict or await check.check(
        context.fleet, hosts, context.data, context.agreed, fetch=True
    )
    results = {}
    for host in hosts:
        errors = verdict.errors(host)
        status = Status.UNREACHABLE if host in verdict.unreachable else Status.FAILED if errors else Status.OK
        message = "; ".join(f"{error.found}: {error.remedy}" for error in errors)
        task = ", ".join(error.check for error in errors)
        results[host] = HostResult(status, task, message)
    fit = tuple(host for host, result in results.items() if result.status.fine)
    return {**results, **await take_on(context, fit, verdict)}


async def take_on(
    context: Context, hosts: tuple[str, ...], verdict: check.Verdict
) -> Mapping[str, HostResult]:
    """Make hosts the site's, and say what was taken over."""
    results = {}
    taken = await check.take_on(context.fleet, hosts, context.data, verdict, context.agreed)
    for host, (done, failure) in taken.items():
        for words in done:
            context.journal.emit("remark", message=f"{host}: {words}")
        status = Status.FAILED if failure else Status.CHANGED if done else Status.OK
        results[host] = HostResult(status, "take the host on" if failure else "", failure, tuple(done))
    return results


async def _artifacts(context: Context, _hosts: tuple[str, ...]) -> Mapping[str, HostResult]:
    from platformctl.artifacts.fetch import fetch
    from platformctl.artifacts.lock import lock_path

    fleet = context.fleet
    relay = _Relay(context.journal, asyncio.get_running_loop())
    mirror = fleet.variables.get("artifacts_mirror_url")
    lock = lock_path(fleet.inventory)
    result = await asyncio.to_thread(
        fetch,
        fleet.artifacts_source,
        relay,
        lock=lock,
        mirror=mirror and str(mirror),
        chosen=fleet.chosen_artifacts,
    )
    status = Status.CHANGED if result.changed else Status.OK
    return {LOCALHOST: HostResult(status, changes=tuple(result.changed))}


async def _charts(context: Context, _hosts: tuple[str, ...]) -> Mapping[str, HostResult]:
    from platformctl.engine.cluster import charts

    def say(words: str) -> None:
        event = {"stage": "charts", "hosts": [LOCALHOST], "words": f"waits for {words}", "detail": ""}
        context.journal.emit("waiting", **event, seconds=0, new=True)

    changed = await charts.apply(context.fleet, index(context.fleet), say)
    return {LOCALHOST: HostResult(Status.CHANGED if changed else Status.OK, changes=tuple(changed))}


async def _verify(context: Context, _hosts: tuple[str, ...]) -> Mapping[str, HostResult]:
    from platformctl.engine.checking import verify

    say = teller(context.journal, "verify", [LOCALHOST])
    proofs = await verify.verify(context.fleet, say)
    for proof in proofs:
        if proof.skipped:
            context.journal.emit("remark", message=f"verify: {proof.name} is skipped: {proof.found}")
    failed = [proof for proof in proofs if not proof.fine]
    if failed:
        message = "; ".join(f"{proof.name}: {proof.found}" for proof in failed)
        return {LOCALHOST: HostResult(Status.FAILED, failed[0].name, message)}
    return {LOCALHOST: HostResult(Status.OK)}


_STEPS: Mapping[StageRunner, Callable[[Context, tuple[str, ...]], Awaitable[Mapping[str, HostResult]]]] = {
    StageRunner.PREFLIGHT: _preflight,
    StageRunner.ARTIFACTS: _artifacts,
    StageRunner.CHARTS: _charts,
    StageRunner.VERIFY: _verify,
}
