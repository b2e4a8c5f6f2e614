"""What an edit of a site does to the jobs and pods that run on it, by the real table of stages."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from platformctl.engine.disturbances import Daemon, Scope, Workload, takes_cpus
from platformctl.engine.planning import impact, plan, words
from platformctl.engine.planning.digest import Change
from platformctl.engine.planning.plan import Plan, Step
from platformctl.engine.planning.work import Budget, Job, Node, Pod, Work
from platformctl.engine.stages import STAGES, Stage
from tests.unit.engine.planning.whole_site import OWN, SITE, VARIABLES, edited, impacts
from tests.unit.engine.sites import make_fleet

MIB = 2**20


def job(number: str, *nodes: str, partitions: tuple[str, ...] = ("main",)) -> Job:
    return Job(number, "alice", partitions, "RUNNING" if nodes else "PENDING", "1:00:00", nodes)


def pod(name: str, node: str, age: int = 0, **requests: float) -> Pod:
    wanted = {name.replace("_", "/"): Fraction(amount) for name, amount in requests.items()}
    created = datetime(2026, 1, 2, 3, 4, 60 - age - 1, tzinfo=UTC)
    return Pod("team", name, node, created, requests=wanted, users=name != "system")


def node(**capacity: float) -> Node:
    amounts = {name.replace("_", "/"): Fraction(amount) for name, amount in capacity.items()}
    return Node(amounts, amounts)


JOBS = (
    job("1", "n1"),
    job("2", "n1", "n2", partitions=("fast",)),
    job("3", partitions=("fast",)),
    job("4", partitions=("main", "fast")),
    job("5", "s1"),
)
PODS = (pod("web", "k1", cpu=1), pod("shared", "s1", cpu=1, memory=512 * MIB), pod("system", "k1"))
WORK = Work(JOBS, PODS, {"s1": node(cpu=8, memory=16384 * MIB)})
NOBODY = Work(nodes=WORK.nodes)


def names(found: tuple[impact.Impact, ...]) -> dict[str, set[str]]:
    """Whom an edit harms, by stage: numbers of jobs, names of pods."""
    return {
        one.stage: {hurt.work.id if isinstance(hurt.work, Job) else hurt.work.name for hurt in one.hurt}
        for one in found
        if one.hurt
    }


def harmed(*edit: Any, work: Work = WORK, **further: Any) -> dict[str, set[str]]:
    return names(impacts(work, *edit, **further))


@pytest.mark.parametrize("groups", [None, ("munge",)])
def test_a_node_that_leaves_slurm_loses_its_jobs(groups: tuple[str, ...] | None) -> None:
    hosts = SITE | {"n1": groups} if groups else {name: SITE[name] for name in SITE if name != "n1"}
    assert harmed(hosts=hosts) == {"slurm_controller": {"1", "2"}}
    # The jobs of others are no reason to keep it.
    assert harmed(hosts=hosts, work=Work((job("9", "n2"),))) == {}


def test_a_partition_that_is_removed_loses_its_jobs_also_those_that_wait() -> None:
    left = {"slurm_partitions": VARIABLES["slurm_partitions"][:1]}
    assert harmed(left) == {"slurm_controller": {"2", "3", "4"}}
    assert harmed(left, work=Work((job("1", "n1"),))) == {}


def test_a_node_that_leaves_a_partition_keeps_its_jobs() -> None:
    partitions = [{"name": "main", "nodes": ["n2"]}, {"name": "fast", "nodes": ["n2"]}]
    assert harmed({"slurm_partitions": partitions}) == {}


RUNNING = {"1", "2", "5"}
ALL = {one.id for one in JOBS}


@pytest.mark.parametrize(
    ("variable", "value", "stage", "whom"),
    [
        ("slurm_cluster_name", "other", "slurm_controller", ALL),
        ("slurm_controller_state_directory", "/srv/state", "slurm_controller", ALL),
        ("slurm_controller_port", 7817, "slurm_controller", RUNNING),
        ("slurm_node_port", 7818, "slurm_controller", RUNNING),
        ("site_domain", "new.example", "kubernetes_control_plane", {"web", "shared"}),
        ("kubernetes_pod_network", "10.9.0.0/16", "kubernetes_control_plane", {"web", "shared"}),
    ],
)
def test_a_variable_that_work_depends_on_ends_it(
    variable: str, value: object, stage: str, whom: set[str]
) -> None:
    assert harmed({variable: value}) == {stage: whom}
    assert harmed({variable: value}, work=NOBODY) == {}


@pytest.mark.parametrize(
    "variables",
    [
        {"slurm_partitions": [*VARIABLES["slurm_partitions"], {"name": "slow"}]},
        {"slurm_node_service_limits": {"LimitNOFILE": "9999"}},
        {"kubernetes_kubelet_overrides": {"maxPods": 99}},
        {"containerd_systemd_cgroup": False},
        {"slurm_controller_options": {"MinJobAge": "100"}},
    ],
)
def test_what_comes_and_what_only_restarts_daemons_ends_nothing(variables: dict[str, Any]) -> None:
    assert harmed(variables) == {}
    assert harmed(variables, SITE | {"n3": ("slurm_node", "munge")}) == {}


def test_the_key_of_munge_ends_the_jobs_on_its_hosts() -> None:
    found = impacts(WORK, {"secret_munge_key": "new"})
    by_host = {one.host: {hurt.work.id for hurt in one.hurt if isinstance(hurt.work, Job)} for one in found}
    assert by_host["n1"] == {"1", "2"}
    assert by_host["s1"] == {"5"}


def test_a_host_that_is_given_away_takes_the_others_work_with_it() -> None:
    to_slurm = {"s1": {**OWN["s1"], "node_owner": "slurm"}}
    assert harmed(own=to_slurm)["kubernetes_node"] == {"shared"}
    to_kubernetes = {"s1": {**OWN["s1"], "node_owner": "kubernetes"}}
    assert harmed(own=to_kubernetes)["slurm_node"] == {"5"}
    # A host that can move already is moved by `node move`, and by no edit.
    away = {"s1": frozenset({"slurm_node"})}
    assert "kubernetes_node" not in harmed(own=to_slurm, away=away)


def holder(number: str, *devices: str) -> Job:
    return Job(number, "alice", ("main",), "RUNNING", "1:00", ("n1",), devices=frozenset(devices))


@pytest.mark.parametrize(
    ("before", "after", "whom"),
    [
        ({"slurm_node_cpus": 4}, {"slurm_node_cpus": 8}, {"1", "2"}),
        ({"slurm_node_cpus": 4}, {"slurm_node_sockets": 2, "slurm_node_cores_per_socket": 2}, set()),
        ({"slurm_node_memory_mib": 4096}, {"slurm_node_memory_mib": 2048}, set()),
        ({"slurm_node_gres": ["gpu:2"]}, {"slurm_node_gres": ["gpu:1"]}, {"1"}),
        ({"slurm_node_gres": ["gpu:2"]}, {"slurm_node_gres": ["gpu:2", "fpga:1"]}, set()),
        ({"slurm_node_gres": ["gpu:2"]}, {"slurm_node_gres": []}, {"1"}),
    ],
)
def test_slurm_ends_jobs_whose_cores_or_devices_are_not_what_they_were(
    before: dict[str, Any], after: dict[str, Any], whom: set[str]
) -> None:
    work = Work((holder("1", "gpu"), holder("2"), job("3", "n2")))
    simulated = {"slurm_node_config_overrides": True}
    found = harmed(own={"n1": simulated | after}, earlier={"n1": simulated | before}, work=work)
    assert found.get("slurm_controller", set()) == whom


def test_jobs_are_named_if_their_cpus_go_to_kubernetes() -> None:
    shares = {cpus: {"s1": {**OWN["s1"], "node_slurm_cpus": cpus}} for cpus in ("0", "0-1", "0-3", "1-4")}
    assert harmed(own=shares["0"])["slurm_controller"] == {"5"}
    assert harmed(own=shares["1-4"])["slurm_controller"] == {"5"}
    assert "slurm_controller" not in harmed(own=shares["0-3"])
    whole = {"s1": {"node_owner": "shared"}}
    assert harmed(own=shares["0-3"], earlier=whole)["slurm_controller"] == {"5"}
    assert not takes_cpus("0-1", "all")


def test_cores_that_only_the_host_knows_may_end_jobs_and_the_plan_says_may() -> None:
    whole = {"s1": {"node_owner": "shared"}}
    (found,) = [one for one in impacts(WORK, own=whole) if one.stage == "slurm_controller"]
    assert [hurt.words for hurt in found.hurt] == [
        "is ended by Slurm if its node has another number of cores now, which only the host knows"
    ]


@pytest.mark.parametrize(("new", "whom"), [("8 CPUs, 100 MiB", {"1", "2"}), ("4 CPUs, 200 MiB", set())])
def test_slurm_ends_jobs_on_a_host_that_has_other_cpus_than_before(new: str, whom: set[str]) -> None:
    changed = {"size:n1": Change("4 CPUs, 100 MiB", new)}
    step = Step("slurm_controller", "ctl1", ("n1 has other CPUs",), fresh=False, changed=changed)
    found = impact.impacts(STAGES, Plan((step,), {}), WORK, make_fleet(SITE))
    assert names(found).get("slurm_controller", set()) == whom


def test_pods_that_do_not_fit_any_more_are_ended_the_youngest_first() -> None:
    pods = (
        pod("young", "s1", 1, cpu=2, memory=MIB),
        pod("old", "s1", 3, cpu=2, memory=MIB),
        pod("small", "s1", 0, cpu=0.5, memory=MIB),
        pod("system", "s1", 2, cpu=1),
        pod("elsewhere", "k1", cpu=2),
    )
    work = Work(pods=pods, nodes=WORK.nodes)
    four_left = {"s1": {**OWN["s1"], "node_slurm_cpus": "0-3"}}
    assert harmed(own=four_left, work=work) == {"kubernetes_node": {"young"}}
    assert harmed(own={"s1": {**OWN["s1"], "node_slurm_cpus": "0"}}, work=work) == {}
    less = {"s1": {**OWN["s1"], "node_slurm_memory_mib": 16384 - 1024 - 100}}
    assert harmed(own=less, work=work)["kubernetes_node"] == {"old", "young", "small"}


def test_pods_that_hold_devices_which_go_to_slurm_are_harmed() -> None:
    row = OWN["s1"]["node_devices"][0]
    fpga = "platformctl.io_fpga"
    holder, other = pod("holder", "s1", **{fpga: 1}), pod("other", "s1", cpu=1)
    work = Work(pods=(holder, other), nodes={"s1": node(cpu=8, memory=16384 * MIB, **{fpga: 2})})
    given = {"s1": {**OWN["s1"], "node_devices": [{**row, "owner": "slurm"}]}}
    assert harmed(own=given, work=work)["kubernetes_node"] == {"holder"}
    more = {"s1": {**OWN["s1"], "node_devices": [row, {**row, "files": ["/dev/fpga7"]}]}}
    assert harmed(own=more, work=work) == {}


def test_a_scheduler_that_does_not_answer_is_unknown_and_never_nobody() -> None:
    silent = Work(unknown={Workload.JOBS: "Slurm does not say"})
    left = {"slurm_partitions": VARIABLES["slurm_partitions"][:1]}
    (found,) = [one for one in impacts(silent, left) if one.stage == "slurm_controller"]
    assert (found.harmful, found.unknown) == (True, "Slurm does not say")
    assert found.effect == "unknown: Slurm does not say"
    # What harms nobody can go on without it.
    mild = impacts(silent, {"slurm_node_service_limits": {"LimitNOFILE": "9999"}})
    assert not any(one.harmful for one in mild)
    assert {one.running for one in mild} == {"slurm jobs unknown"}


def test_an_impact_says_what_runs_and_which_daemons_restart() -> None:
    found = impacts(WORK, {"slurm_node_service_limits": {"LimitNOFILE": "9999"}})
    (one,) = [each for each in found if each.host == "n1"]
    assert (one.running, one.effect) == ("2 slurm jobs", "slurmd may restart; jobs keep running")
    assert [str(restart) for restart in one.restarts] == ["slurmd restarts"]
    (one,) = [each for each in impacts(WORK, {"slurm_node_image_binds": ["/home"]}) if each.host == "n1"]
    assert [str(restart) for restart in one.restarts] == ["slurmd may restart"]


def test_much_work_is_a_few_words() -> None:
    (found,) = [one for one in impacts(WORK, {"slurm_node_port": 9}) if one.stage == "slurm_controller"]
    lost = "is lost, as what runs on the nodes reports to the old port"
    assert found.effect == f"job 1 (and 2 more) {lost}"
    lines = words.disturbances([found])
    assert lines[0] == f"3 slurm jobs on ctl1 while slurm_controller runs: job 1 (and 2 more) {lost}"
    assert lines[1].startswith("job 1 of alice (partition main, on n1")
    crowd = impact.Impact("n1", "x", hurt=tuple(impact.Hurt(job(str(n), "n1"), "fails") for n in range(25)))
    assert words.disturbances([crowd])[-1] == "and 5 more"


def test_services_that_are_interrupted_are_named_once_with_their_hosts() -> None:
    daemon = Daemon("xd", service="the X", seconds=7)
    found = [impact.Impact(host, "x", restarts=(impact.Restart(daemon, True),)) for host in ("n1", "n2")]
    assert impact.services(found) == [("n1, n2", "xd restarts: about 7 s without the X")]


def test_schedulers_are_asked_only_about_hosts_in_service() -> None:
    found, _ = edited({"slurm_node_service_limits": {"LimitNOFILE": "9999"}})
    assert impact.workloads(STAGES, found) == {Workload.JOBS}
    steps = [Step("slurm_node", "n1", ("not applied yet",), fresh=True)]
    assert impact.workloads(STAGES, Plan(tuple(steps), {})) == set()
    down = Plan((Step("slurm_node", "n1", ("?",), fresh=False),), {"n1": "does not answer"})
    assert impact.workloads(STAGES, down) == set()


@pytest.mark.parametrize(
    ("step", "down"),
    [
        (Step("slurm_node", "n1", ("not applied yet",), fresh=True), {}),
        (Step("slurm_node", "n1", (plan.FULL,), fresh=False), {}),
        (Step("slurm_node", "n1", ("the host cannot be asked",), fresh=False), {"n1": "no route"}),
    ],
)
def test_what_is_new_only_once_more_or_down_disturbs_nothing(step: Step, down: dict[str, str]) -> None:
    assert impact.impacts(STAGES, Plan((step,), down), WORK, make_fleet(SITE)) == ()


def test_a_stage_of_the_whole_fleet_disturbs_what_runs_anywhere() -> None:
    stage = Stage("ctl", "ctl", workload=Workload.JOBS, fleetwide=True, effect="slurmctld restarts")
    step = Step("ctl", "ctl1", ("role ctl changed",), fresh=False)
    (found,) = impact.impacts((stage,), Plan((step,), {}), WORK, make_fleet(SITE))
    assert found.running == "3 slurm jobs"


def test_the_words_for_work_name_all_that_its_owner_wants_to_know() -> None:
    assert str(job("7", "n1")) == "job 7 of alice (partition main, on n1, at most 1:00:00 left)"
    assert str(job("8")) == "job 8 of alice (partition main, waits)"
    bare = pod("web", "k1")
    assert str(bare) == "pod team/web (on k1, bare: nothing starts it again)"
    kept = Pod("team", "web", "k1", bare.created, "ReplicaSet web", (Budget("web", 0),))
    assert str(kept) == "pod team/web (on k1, ReplicaSet web, budget web allows 0 evictions now)"


def test_each_scope_belongs_to_one_scheduler() -> None:
    assert {scope for scope in Scope if scope.workload is Workload.PODS} == {
        scope for scope in Scope if "POD" in scope.name or scope.name in ("HOST_UNFIT", "HOST_HOLDERS")
    }
    assert set(impact._SCOPES) | {Scope.NODE_HOLDERS} == set(Scope)


def test_another_class_of_a_node_concerns_all_its_pods() -> None:
    for name, value in (
        ("node_cpu_manager", {"policy": "static"}),
        ("node_topology_manager", {"policy": "restricted"}),
        ("node_memory_manager", {"policy": "static"}),
        ("node_hugepages", [{"size": "2Mi", "count": 8}]),
    ):
        found = impacts(WORK, own={"k1": {name: value}})
        assert names(found) == {"kubernetes_node": {"web"}}, name
        (hurt,) = [hurt for one in found for hurt in one.hurt]
        assert "forgets what pods have" in hurt.words


def test_cpus_for_the_system_concern_pods_that_have_some_alone_or_do_not_fit() -> None:
    work = Work(JOBS, PODS, {"k1": node(cpu=4, memory=16384 * MIB)})
    assert harmed(own={"k1": {"node_system_cpus": "0"}}, work=work) == {}
    assert harmed(own={"k1": {"node_system_cpus": "0-3"}}, work=work) == {"kubernetes_node": {"web"}}
    static = {"node_cpu_manager": {"policy": "static"}, "node_system_cpus": "0"}
    changed = static | {"node_system_cpus": "0-1"}
    assert harmed(own={"k1": changed}, earlier={"k1": static}, work=work) == {"kubernetes_node": {"web"}}


def test_memory_for_the_system_concerns_pods_that_do_not_fit() -> None:
    pods = (pod("web", "k1", memory=1024 * MIB),)
    work = Work((), pods, {"k1": node(cpu=4, memory=2048 * MIB)})
    assert harmed(own={"k1": {"node_system_memory_mib": 512}}, work=work) == {}
    assert harmed(own={"k1": {"node_system_memory_mib": 1024}}, work=work) == {"kubernetes_node": {"web"}}


def test_cpus_for_the_system_concern_jobs_on_them() -> None:
    kept = {cpus: {"n1": {"node_system_cpus": cpus}} for cpus in ("0", "0-1", "1")}
    assert harmed(own=kept["0"]) == {"slurm_controller": {"1", "2"}}
    assert harmed(own=kept["0-1"], earlier=kept["0"]) == {"slurm_controller": {"1", "2"}}
    assert harmed(own=kept["0"], earlier=kept["0-1"]) == {}
    assert harmed(own={"n1": {"slurm_node_core_spec_count": 1}}) == {"slurm_controller": {"1", "2"}}


def test_what_counts_as_a_socket_concerns_all_jobs() -> None:
    assert harmed({"slurm_controller_socket": "numa_node"}) == {"slurm_controller": {"1", "2", "5"}}
