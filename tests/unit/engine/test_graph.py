import pytest

from platformctl.engine import graph
from platformctl.engine.stages import STAGES, Stage, each
from platformctl.errors import ExitCode, PlatformError


def test_every_stage_comes_after_what_it_needs() -> None:
    names = [stage.name for stage in graph.ordered(STAGES)]
    for stage in STAGES:
        for need in stage.needs:
            assert names.index(need.stage) < names.index(stage.name)
    assert len(names) == len(set(names)) == len(STAGES)


def test_a_circle_is_named() -> None:
    stages = [Stage("a", "all", needs=each("b")), Stage("b", "all", needs=each("a"))]
    with pytest.raises(ValueError, match=r"circle: .*a.*b"):
        graph.ordered(stages)


def test_a_need_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="a needs nothing_here"):
        graph.ordered([Stage("a", "all", needs=each("nothing_here"))])


def test_kubernetes_and_slurm_do_not_need_each_other() -> None:
    table = {stage.name: stage for stage in STAGES}

    def before(name: str) -> set[str]:
        direct = {need.stage for need in table[name].needs}
        return direct.union(*(before(other) for other in direct))

    assert not any(name.startswith("kubernetes") for name in before("slurm_rest"))
    assert not any(name.startswith(("slurm", "munge")) for name in before("kubernetes_addons"))


def test_unknown_stage_lists_the_known() -> None:
    with pytest.raises(PlatformError) as error:
        graph.select(graph.ordered(STAGES), ["slurm_nod"])
    assert error.value.code is ExitCode.INVALID
    assert "slurm_node" in error.value.next


def test_unknown_stages_are_all_named() -> None:
    with pytest.raises(PlatformError, match="there is no stage a, b"):
        graph.select((Stage("c", "all"),), ["b", "c", "a"])


def test_chosen_stages_keep_the_order_of_the_graph() -> None:
    stages = tuple(Stage(name, "all") for name in ("a", "b", "c"))
    assert [stage.name for stage in graph.select(stages, ["c", "a"])] == ["a", "c"]
    assert graph.select(stages, []) == stages


def test_stages_that_do_not_need_each_other_keep_the_order_of_the_table() -> None:
    names = ["m", "b", "z", "a", "q"]
    stages = [Stage(name, "all", needs=each("last")) for name in names] + [Stage("last", "all")]
    assert [stage.name for stage in graph.ordered(stages)] == ["last", *names]
