"""The job router beside bare client loops: `python -m tests.benchmarks router`.

Everything runs on this machine: a real API server with etcd, a stand-in for slurmrestd, the router, and
this client, which takes its share of the processors too. PLATFORMCTL_BENCH_ROUTER names a checkout of an
earlier version to measure instead, PLATFORMCTL_BENCH_JOBS another number than 10,000.
"""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from platformctl.jobs.tokens import Token
from tests.benchmarks.figures import Figures
from tests.benchmarks.router_world import BATCH_JOBS, EARLIER, JOBS, SITE, World, in_world

NAME = "router-earlier" if os.environ.get(EARLIER) else "router"
RUNS = 1
ABOUT = (
    "The router against an API server with etcd and a stand-in for slurmrestd that is as slow as the real "
    "one, all on this machine, beside bare loops of the same client, which write no status to the API "
    "server. One that also releases asks of the back end what the router asks: a job that is held until its "
    "id is recorded takes two changes. "
    "Accepted means that the Job's status shows the back end's id. Steady after a restart means that "
    "everything that happened meanwhile is in the statuses."
)
_LOOP = 400
_AT_ONCE = 8
_SCRIPT = "#!/bin/sh\ndate\n"
new_names = (f"bench-{number}" for number in itertools.count())


def measure(figures: Figures) -> None:
    """One run."""
    in_world(partial(_measure, figures))


async def _measure(figures: Figures, found: World) -> None:
    await _rates(found, figures)
    await _bursts(found, figures)
    await _scale(found, figures, int(os.environ.get("PLATFORMCTL_BENCH_JOBS", "10000")))


async def _rates(found: World, figures: Figures) -> None:
    """Seconds for each submission: bare, and by the router working off what was created before it started."""
    for target, loop in {"slurm": _bare_slurm, "kubernetes": _bare_kubernetes}.items():
        one = await _per_job(partial(loop, found, release=False), 1)
        many = await _per_job(partial(loop, found, release=False), _AT_ONCE)
        whole = await _per_job(partial(loop, found, release=True), _AT_ONCE)
        names = {next(new_names) for _ in range(1000)}
        await create_jobs(found, names, target)
        found.router.start()
        await found.seen.all(found.seen.accepted, names)
        times = sorted(found.seen.accepted[name] for name in names)
        found.router.stop()
        routed = (times[-1] - times[0]) / (len(times) - 1)
        figures.add(f"{target}: bare loop, one at a time", 1 / one, "jobs/s", better="higher")
        figures.add(f"{target}: bare loop, {_AT_ONCE} at a time", 1 / many, "jobs/s", better="higher")
        figures.add(
            f"{target}: bare loop that also releases, {_AT_ONCE} at a time",
            1 / whole,
            "jobs/s",
            better="higher",
        )
        figures.add(f"{target}: router", 1 / routed, "jobs/s", better="higher")
        figures.add(f"{target}: router slower than one at a time by", routed / one, "1", at_most=1.25)
        figures.add(f"{target}: router slower than {_AT_ONCE} at a time by", routed / many, "1")
        figures.add(f"{target}: router slower than the loop that also releases by", routed / whole, "1")


async def _bursts(found: World, figures: Figures) -> None:
    """From the request that creates a Job to its acceptance."""
    found.router.start()
    await found.router.settled()
    for count, rounds in ((1, 10), (100, 3), (1000, 1)):
        waits: list[float] = []
        for _ in range(rounds):
            await found.router.settled()
            names = {next(new_names) for _ in range(count)}
            begun = await create_jobs(found, names, "slurm")
            await found.seen.all(found.seen.accepted, names)
            waits += [found.seen.accepted[name] - begun[name] for name in names]
        _percentiles(figures, f"created to accepted, {count} at once", waits)
    found.router.stop()


async def _scale(found: World, figures: Figures, count: int) -> None:
    """Many Jobs that run, then as many that have ended."""
    running = await _seed(found, count, ended=False)
    found.router.start()
    await found.router.settled()
    figures.add(f"idle processor, {count} running", await found.router.load(30), "%")
    found.router.stop()
    await _seed(found, count, ended=True)
    found.router.start()
    await found.router.settled()
    figures.add(
        f"idle processor, {count} running and {count} ended", await found.router.load(30), "%", at_most=2
    )
    figures.add("memory then", found.router.memory(), "MB", at_most=300)
    figures.add("memory at most since the start", found.router.memory("VmHWM"), "MB")
    waits = await _changes(found, [running.popitem() for _ in range(min(200, count // 10))])
    _percentiles(figures, "a state change seen", waits, at_most=3)
    figures.add("restart to steady", await _restart(found, running), "s", at_most=20)


async def _changes(found: World, jobs: list[tuple[str, int]]) -> list[float]:
    """End jobs at random moments; how long each took to show."""
    chance, begun = random.Random(1), {}
    for name, job_id in jobs:
        await asyncio.sleep(chance.uniform(0, 0.2))
        begun[name] = time.time()
        await found.control("finish", [job_id])
    await found.seen.all(found.seen.ended, set(begun))
    return [found.seen.ended[name] - begun[name] for name in begun]


async def _restart(found: World, running: dict[str, int]) -> float:
    """Kill the router, let things happen, start it; seconds until all of it is dealt with."""
    found.router.stop(signal.SIGKILL)
    ended = dict(running.popitem() for _ in range(min(100, len(running))))
    await found.control("finish", list(ended.values()))
    created = {next(new_names)}
    await create_jobs(found, created, "slurm")
    begun = time.time()
    found.router.start()
    await found.seen.all(found.seen.ended, set(ended))
    await found.seen.all(found.seen.accepted, created)
    return time.time() - begun


async def _bare_slurm(found: World, release: bool) -> None:
    job = {
        "name": "bench",
        "comment": "bench",
        "hold": True,
        "current_working_directory": "/home/alice",
        "standard_output": "/home/alice/bench-%j.out",
        "environment": ["PATH=/usr/bin:/bin"],
        "tasks": 1,
        "script": _SCRIPT,
    }
    number = await found.rest.submit("alice", {"job": job})
    if release:
        await found.rest.update("alice", number, {"hold": False})


async def _bare_kubernetes(found: World, release: bool) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "debian:13", "command": ["date"]}]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "bare-"},
        "spec": {"suspend": True, "backoffLimit": 0, "template": {"spec": pod}},
    }
    made = await found.account.create(BATCH_JOBS, body)
    if release:
        await found.account.merge(f"{BATCH_JOBS}/{made['metadata']['name']}", {"spec": {"suspend": False}})


async def _per_job(submit: Callable[[], Awaitable[None]], at_once: int) -> float:
    await submit()
    begun = time.perf_counter()
    await _each(range(_LOOP), lambda _: submit(), at_once)
    return (time.perf_counter() - begun) / _LOOP


async def create_jobs(found: World, names: Iterable[str], target: str) -> dict[str, float]:
    """Create Jobs as alice does; when each request began."""
    begun: dict[str, float] = {}

    async def create(name: str) -> None:
        begun[name] = time.time()
        await found.alice.create(JOBS, job_body(name, target))

    await _each(names, create, 16)
    return begun


def job_body(name: str, target: str) -> dict[str, Any]:
    spec = {"script": _SCRIPT, "target": target, "walltime": "1h"}
    return {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


async def _seed(found: World, count: int, ended: bool) -> dict[str, int]:
    """Jobs as the router left them, with their jobs in Slurm; Slurm's ids by name."""
    uids: dict[str, str] = {}

    async def create(name: str) -> None:
        created = await found.alice.create(JOBS, job_body(name, "slurm"))
        uids[name] = created["metadata"]["uid"]

    await _each([next(new_names) for _ in range(count)], create, 16)
    tokens = [] if ended else [str(Token(SITE, uid, 1)) for uid in uids.values()]
    ids = dict(zip(uids, await found.control("load", tokens) if tokens else range(1, count + 1), strict=True))
    conditions = [
        _condition("Accepted", "Accepted", "asked for by spec.target"),
        _condition("Released", "Released", ""),
        *([_condition("Finished", "Succeeded", "")] if ended else []),
    ]
    status = {
        "phase": "Succeeded" if ended else "Running",
        "backend": "slurm",
        "attempt": 1,
        "user": "alice",
        "reason": "",
        "nodes": "node1",
        "startTime": "2023-11-14T22:13:20Z",
        "observedGeneration": 1,
        "conditions": conditions,
        **({"exitCode": 0, "completionTime": "2023-11-14T22:14:20Z"} if ended else {}),
    }

    async def settle(name: str) -> None:
        output = f"/home/alice/{ids[name]}.out"
        body = {"status": {**status, "backendId": str(ids[name]), "output": output}}
        await found.account.merge(f"{JOBS}/{name}/status", body)

    await _each(uids, settle, 16)
    return ids


def _condition(kind: str, reason: str, message: str) -> dict[str, Any]:
    since = "2023-11-14T22:13:20Z"
    shown = {"type": kind, "status": "True", "reason": reason, "message": message}
    return {**shown, "lastTransitionTime": since, "observedGeneration": 1}


async def _each[T](items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Work on all items, so many at a time."""
    rest = iter(items)

    async def worker() -> None:
        for item in rest:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def _percentiles(figures: Figures, what: str, seconds: list[float], at_most: float | None = None) -> None:
    ordered = sorted(seconds)
    figures.add(f"{what}, p50", ordered[len(ordered) // 2], "s")
    figures.add(f"{what}, p99", ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], "s", at_most)
