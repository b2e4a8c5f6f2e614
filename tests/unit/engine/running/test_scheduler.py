import asyncio

import pytest

from platformctl.engine import graph
from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.running import scheduler
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.stages import STAGES, Stage, each, every, some
from tests.unit.engine.sites import make_fleet

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


async def test_any_host_may_be_one_that_has_nothing_to_do() -> None:
    """On an installed site, the work of a stage may be one dead host alone."""
    stages = [Stage("node", "all"), Stage("charts", "all", needs=some("node"))]
    work, targets = {"node": ("n2",), "charts": ("here",)}, {"node": ("n1", "n2"), "charts": ("here",)}
    fake = Fake()
    results = await scheduler.run(stages, work, fake, {"n2": DOWN}, targets)
    assert fake.ran == [("charts", ("here",))]
    assert results["node"].hosts["n2"].status is Status.UNREACHABLE
    alone = await scheduler.run(stages, work, Fake(), {"n2": DOWN}, {"node": ("n2",)})
    assert alone["charts"].hosts["here"].status is Status.BLOCKED


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


_CONTROL = ("registry", "containerd", "kubernetes_control_plane", "munge", "slurm_accounting")
_NODE = ("containerd", "kubernetes_node", "munge", "slurm_node")
SITE = make_fleet(
    {
        "ctl1": (*_CONTROL, "slurm_controller", "slurm_rest"),
        "ctl2": ("munge", "slurm_controller", "slurm_rest"),
        "n1": _NODE,
        "n2": _NODE,
    }
)


@pytest.mark.parametrize("dead", ["ctl2", "n1", "n2"])
@pytest.mark.parametrize("installed", [False, True], ids=["fresh", "installed"])
@pytest.mark.parametrize("moment", ["before", "in base", "in its last stage"])
async def test_one_dead_host_costs_the_site_only_its_own_stages(
    dead: str, installed: bool, moment: str
) -> None:
    stages = graph.ordered(STAGES)
    targets = {stage.name: stage.targets(SITE) for stage in stages}
    work = {name: hosts for name, hosts in targets.items() if hosts}
    if installed:  # only a host that is down, and what runs each time, has work
        work = {name: tuple({dead, LOCALHOST} & set(hosts)) for name, hosts in work.items()}
    last = [name for name, hosts in targets.items() if dead in hosts][-1]
    ends = {("base" if moment == "in base" else last, dead): DOWN} if moment != "before" else {}
    down = {dead: DOWN} if moment == "before" else {}
    results = await scheduler.run(stages, work, Fake(ends), down, targets)
    stopped = {
        host for result in results.values() for host, end in result.hosts.items() if not end.status.fine
    }
    assert stopped == {dead}
    assert results["charts"].hosts[LOCALHOST].status is Status.OK
    assert results["verify"].hosts[LOCALHOST].status is Status.OK
