"""One user with very many Jobs, or very large ones, and everybody else's next Job."""

import asyncio
from collections.abc import Iterable
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.jobs.model import Target
from platformctl.router.loop.informer import Informer
from platformctl.vocabulary import JOBS, job_path
from tests.integration.control_plane import most_memory
from tests.integration.router.process import PATIENCE, RouterProcess
from tests.integration.router.world import SCRIPT, World

# Of 512 MiB, which the chart gives the router, in MB.
_ALLOWED = 512 * 2 / 3
_MANY = 400
_SCRIPTS, _SUBMITTED, _OTHERS = 300, 40, 100


async def test_a_job_behind_hundreds_of_another_user_is_submitted_as_one_of_the_first(
    world: World, router: RouterProcess
) -> None:
    """All are there when the router starts, and bob's is the last in every list."""
    await router.stop()
    names = [f"a{number}" for number in range(_MANY)]
    await _create(world.alice, [_job(name, Target.SLURM) for name in names])
    await _create(world.bob, [_job("z-slurm", Target.SLURM), _job("z-kubernetes", Target.KUBERNETES)])
    order = await _accepted(world, router, {*names, "z-slurm", "z-kubernetes"})
    # Alice's are at most those in work when bob's turn comes: 24 workers, and a few that they go on with.
    assert order.index("z-slurm") < 60
    assert order.index("z-kubernetes") < 60


async def test_memory_is_bounded_whatever_is_stored(world: World, router: RouterProcess) -> None:
    """Small Jobs first, so that pages of lists grow; then the largest that the API server stores."""
    await router.stop()
    small = [_job(f"a{number}", Target.SLURM, suspend=True) for number in range(100)]
    script = "#!/bin/sh\n" + "# \u00e9\n" * (512 * 2**10 // 5 - 10)
    # Many more than are reconciled at the same time; the others are only listed, which is quicker.
    large = [_job(f"m{number}", Target.SLURM, script=script) for number in range(_SUBMITTED)]
    managed = {"script": script, "managedBy": "example.com/queue"}
    large += [_job(f"n{number}", Target.SLURM, **managed) for number in range(_SCRIPTS - _SUBMITTED)]
    await _create(world.alice, [*small, *large])
    await _create(world.alice, [_others(f"x{number}") for number in range(_OTHERS)], at_once=2)
    names = {job["metadata"]["name"] for job in large[:_SUBMITTED]}
    await _accepted(world, router, names)
    assert router.process
    most = most_memory(router.process.pid)
    assert most < _ALLOWED, f"{most:.0f} MB"


def _job(name: str, target: Target, **spec: Any) -> dict[str, Any]:
    body = {"script": SCRIPT, "target": target, "walltime": "1h", **spec}
    return {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def _others(name: str) -> dict[str, Any]:
    """A Job of 1.4 MB that another controller manages."""
    container = {"name": "a", "image": "debian:13", "args": ["x" * 130_000] * 10 + ["x" * 100_000]}
    body = {"managedBy": "example.com/queue", "template": {"spec": {"containers": [container]}}}
    return {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": body}


async def _create(client: KubernetesClient, jobs: Iterable[dict[str, Any]], at_once: int = 8) -> None:
    rest = iter(jobs)

    async def worker() -> None:
        for job in rest:
            await client.create(job_path("default"), job)

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def _accepted(world: World, router: RouterProcess, names: set[str]) -> list[str]:
    """Start the router; the names in the order in which their back end's ids were written."""
    order: list[str] = []
    news = asyncio.Event()

    def look(item: dict[str, Any]) -> None:
        name = item["metadata"]["name"]
        status = item.get("status") or {}
        if status.get("backendId") and name not in order:
            order.append(name)
        news.set()

    watching = asyncio.create_task(Informer(world.root, JOBS, look).run())
    try:
        await router.start()
        async with asyncio.timeout(4 * PATIENCE):
            while not names <= set(order):
                news.clear()
                await news.wait()
    except TimeoutError:
        raise AssertionError(f"{len(names - set(order))} are missing\n{router.log[-3000:]}") from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return order
