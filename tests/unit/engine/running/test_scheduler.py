import asyncio

import pytest

from platformctl.engine.running import scheduler
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.stages import Stage, each, every, some

OK, FAILED, DOWN = HostResult(Status.OK), HostResult(Status.FAILED), HostResult(Status.UNREACHABLE)


class Fake:
    """Runs stages by a script of failures; remembers what ran, and how many at the same time."""

    def __init__(self, ends: dict[tuple[str, str], HostResult] | None = None) -> None:
        self.ends = ends or {}
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        self.together = self.most = 0

    async def __call__(self, stage: Stage, hosts: tuple[str, ...]) -> StageResult:
        self.ran.append((stage.name, hosts))
        self.together += 1
        self.most = max(self.most, self.together)
        # Time for all others to begin that may run beside it.
        await asyncio.sleep(0.01)
        self.together -= 1
        return StageResult(stage.name, {host: self.ends.get((stage.name, host), OK) for host in hosts}, 0.01)


async def test_independent_branches_run_together_and_needs_in_order() -> None:
    stages = [
        Stage("base", "all"),
        Stage("kubernetes", "all", needs=each("base")),
        Stage("slurm", "all", needs=each("base")),
        Stage("charts", "all", needs=every("kubernetes", "slurm")),
    ]
    fake = Fake()
    await scheduler.run(stages, {stage.name: ("a",) for stage in stages}, fake, {})
    assert fake.most == 2
    assert next(name for name, _ in fake.ran) == "base"
    assert [name for name, _ in fake.ran][-1] == "charts"


async def test_a_failed_host_stops_itself_and_not_the_others() -> None:
    stages = [Stage("base", "all"), Stage("node", "all", needs=each("base"))]
    fake = Fake({("base", "b"): FAILED})
    results = await scheduler.run(stages, {"base": ("a", "b"), "node": ("a", "b")}, fake, {})
    assert ("node", ("a",)) in fake.ran
    assert results["node"].hosts["b"].status is Status.BLOCKED
    assert "needs base, which is failed on b" in results["node"].hosts["b"].message


@pytest.mark.parametrize(("needs", "ran"), [(every("controller"), False), (some("controller"), True)])
async def test_a_failed_controller_stops_all_or_not_by_rule(needs: tuple, ran: bool) -> None:
    stages = [Stage("controller", "all"), Stage("node", "all", needs=needs)]
    fake = Fake({("controller", "c1"): FAILED})
    await scheduler.run(stages, {"controller": ("c1", "c2"), "node": ("n",)}, fake, {})
    assert (("node", ("n",)) in fake.ran) is ran


async def test_being_stopped_goes_down_the_chain() -> None:
    stages = [
        Stage("one", "all"),
        Stage("two", "all", needs=every("one")),
        Stage("three", "all", needs=every("two")),
    ]
    results = await scheduler.run(
        stages, dict.fromkeys(("one", "two", "three"), ("a",)), Fake({("one", "a"): FAILED}), {}
    )
    assert [results[name].hosts["a"].status for name in ("two", "three")] == [Status.BLOCKED] * 2


async def test_a_host_that_is_down_is_reported_and_never_tried() -> None:
    stages = [Stage("base", "all"), Stage("node", "all", needs=each("base"))]
    fake = Fake()
    results = await scheduler.run(stages, {"base": ("a", "b"), "node": ("a", "b")}, fake, {"b": DOWN})
    assert fake.ran == [("base", ("a",)), ("node", ("a",))]
    assert {result.hosts["b"].status for result in results.values()} == {Status.UNREACHABLE}


async def test_a_host_lost_on_the_way_is_not_tried_again() -> None:
    stages = [
        Stage("base", "all"),
        Stage("unchanged", "all", needs=each("base")),
        Stage("after", "all", needs=each("unchanged")),
    ]
    fake = Fake({("base", "a"): DOWN})
    results = await scheduler.run(stages, {"base": ("a", "b"), "after": ("a", "b")}, fake, {})
    assert fake.ran == [("base", ("a", "b")), ("after", ("b",))]
    assert results["after"].hosts["a"].status is Status.UNREACHABLE


async def test_stages_without_work_are_fine_and_keep_the_order() -> None:
    stages = [
        Stage("one", "all"),
        Stage("two", "all", needs=every("one")),
        Stage("three", "all", needs=every("two")),
    ]
    fake = Fake()
    results = await scheduler.run(stages, {"one": ("a",), "three": ("a",)}, fake, {})
    assert [name for name, _ in fake.ran] == ["one", "three"]
    assert set(results) == {"one", "three"}
