import pytest

from platformctl.engine.running.waves import waves
from platformctl.engine.stages import STAGES, Stage

RESTARTS = Stage("node", "node", effect="slurmd may restart")
QUIET = Stage("base", "all")
VOTES = Stage("etcd", "etcd", effect="etcd may restart", one_by_one=True)


def hosts(number: int) -> tuple[str, ...]:
    return tuple(f"n{index}" for index in range(number))


@pytest.mark.parametrize(
    ("number", "sizes"),
    [
        (1, [1]),
        (2, [1, 1]),
        (3, [1, 2]),
        (10, [1, 2, 4, 3]),
        (20, [1, 2, 4, 8, 5]),
        (100, [1, 10, 20, 40, 29]),
        (1000, [1, 100, 200, 400, 299]),
    ],
)
def test_one_host_comes_first_and_then_growing_groups(number: int, sizes: list[int]) -> None:
    found = waves(RESTARTS, hosts(number), ())
    assert [len(group) for group in found] == sizes
    assert tuple(host for group in found for host in group) == hosts(number)


def test_new_hosts_are_done_at_once() -> None:
    assert waves(RESTARTS, hosts(50), set(hosts(50))) == [hosts(50)]
    found = waves(RESTARTS, hosts(5), {"n1", "n3"})
    assert found == [("n1", "n3", "n0"), ("n2", "n4")]


def test_a_stage_that_restarts_nothing_is_done_at_once() -> None:
    assert waves(QUIET, hosts(50), ()) == [hosts(50)]
    assert waves(QUIET, (), ()) == []


def test_hosts_that_vote_are_done_one_at_a_time_even_when_new() -> None:
    assert waves(VOTES, hosts(3), set(hosts(3))) == [("n0",), ("n1",), ("n2",)]


def test_the_stages_that_restart_daemons_on_nodes_say_so() -> None:
    restarting = {stage.name for stage in STAGES if stage.restarts}
    assert restarting >= {"containerd", "kubernetes_node", "munge", "slurm_node", "slurm_controller"}
    assert [stage.name for stage in STAGES if stage.one_by_one] == ["kubernetes_control_plane"]
