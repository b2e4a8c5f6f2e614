"""One user's next Job behind 1,500 of another: `python -m tests.benchmarks fairness`.

Everything runs on this machine, as in the benchmark `router`. PLATFORMCTL_BENCH_ROUTER names a checkout of an
earlier version to measure instead.
"""

import os
import time
from functools import partial

from tests.benchmarks.figures import Figures
from tests.benchmarks.router import create_jobs, job_body, new_names
from tests.benchmarks.router_world import EARLIER, JOBS, World, in_world

NAME = "fairness-earlier" if os.environ.get(EARLIER) else "fairness"
RUNS = 1
ABOUT = (
    "The time from the request that creates a Job of bob until its status shows the id. Idle: nothing else "
    "happens. Behind: the router works off 1,500 Jobs on Slurm that alice has just created, and bob's "
    "Jobs come one after the other. The API server, etcd, the stand-in for slurmrestd and the router share "
    "the processors."
)
_ALICES = 1500
_SAMPLES = 10


def measure(figures: Figures) -> None:
    """One run."""
    in_world(partial(_measure, figures))


async def _measure(figures: Figures, found: World) -> None:
    for target in ("slurm", "kubernetes"):
        found.router.start()
        await found.router.settled()
        idle = _middle([await _bobs(found, target) for _ in range(_SAMPLES)])
        found.router.stop()
        names = {next(new_names) for _ in range(_ALICES)}
        await create_jobs(found, names, "slurm")
        found.router.start()
        await found.router.ready()
        behind = [await _bobs(found, target) for _ in range(_SAMPLES)]
        left = len(names - found.seen.accepted.keys())
        await found.seen.all(found.seen.accepted, names)
        found.router.stop()
        figures.add(f"{target}: idle, p50", idle, "s")
        figures.add(f"{target}: behind {_ALICES} of alice, the first", behind[0], "s")
        figures.add(f"{target}: behind {_ALICES} of alice, p50", _middle(behind), "s")
        figures.add(f"{target}: behind {_ALICES} of alice, slower by", _middle(behind) / idle, "1")
        figures.add(f"{target}: of alice's Jobs waited then", left, "jobs", better="higher")


async def _bobs(found: World, target: str) -> float:
    """Seconds until a new Job of bob is accepted."""
    name = next(new_names)
    begun = time.time()
    await found.bob.create(JOBS, job_body(name, target))
    await found.seen.all(found.seen.accepted, {name})
    return found.seen.accepted[name] - begun


def _middle(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]
