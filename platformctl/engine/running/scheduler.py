"""Runs stages in the order of their needs, independent ones at the same time.

Knows nothing of Ansible: `execute` runs one stage on some hosts. A stage runs on a host only if the
stages that it needs ended well, by the rule in the stage table. Hosts that need nothing from a failed host
continue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.stages import Need, NeedScope, Stage

Execute = Callable[[Stage, tuple[str, ...]], Awaitable[StageResult]]


async def run(
    stages: Sequence[Stage],
    work: Mapping[str, tuple[str, ...]],
    execute: Execute,
    down: Mapping[str, HostResult],
    targets: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, StageResult]:
    """Run `work` (hosts by stage name; stages without work count as fine) and return every stage's result.

    stages: in graph order. down: hosts known not to answer; they are reported and not tried. targets: all
    hosts of each stage; those of them without work have what the stage brings.
    """
    everyone = targets or {}
    done: dict[str, asyncio.Task[StageResult]] = {}
    lost = dict(down)

    async def one(stage: Stage) -> StageResult:
        needed = {need.stage: await done[need.stage] for need in stage.needs if need.stage in done}
        stopped: dict[str, HostResult] = {}
        for host in work.get(stage.name, ()):
            if host in lost:
                stopped[host] = lost[host]
            elif reason := _obstacle(stage.needs, host, needed, everyone):
                stopped[host] = HostResult(Status.BLOCKED, message=reason)
        ready = tuple(host for host in work.get(stage.name, ()) if host not in stopped)
        result = await execute(stage, ready) if ready else StageResult(stage.name, {})
        # Later stages do not try a host that stopped answering: each attempt would cost a timeout.
        lost.update({host: end for host, end in result.hosts.items() if end.status is Status.UNREACHABLE})
        return StageResult(stage.name, {**stopped, **result.hosts}, result.seconds)

    async with asyncio.TaskGroup() as group:
        for stage in stages:
            done[stage.name] = group.create_task(one(stage))
    return {name: task.result() for name, task in done.items() if task.result().hosts}


def _obstacle(
    needs: Sequence[Need],
    host: str,
    results: Mapping[str, StageResult],
    targets: Mapping[str, tuple[str, ...]],
) -> str:
    """Why the stage may not run on the host, in words; empty if it may."""
    for need in needs:
        hosts = results[need.stage].hosts if need.stage in results else {}
        unfit = {name: result for name, result in hosts.items() if not result.status.fine}
        if need.scope is NeedScope.SAME_HOST:
            unfit = {name: result for name, result in unfit.items() if name == host}
        elif need.scope is NeedScope.ANY and set(unfit) < {*hosts, *targets.get(need.stage, ())}:
            unfit = {}
        if unfit:
            who = ", ".join(f"{result.status} on {name}" for name, result in unfit.items())
            return f"needs {need.stage}, which is {who}"
    return ""
