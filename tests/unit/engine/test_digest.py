from collections.abc import Callable
from pathlib import Path

from platformctl.engine import digest
from platformctl.engine.stages import Peers, Stage
from tests.unit.engine.sites import make_fleet

HOSTS = {"ctl1": ("controller",), "n1": ("node",), "n2": ("node",)}
INDEX = {"lock": "abc", "binaries": {"kubelet": {"sha256": "11"}, "helm": {"sha256": "22"}}, "images": {}}


def changed(stage: Stage, data: Path, before: dict, after: dict, own: dict | None = None) -> set[str]:
    """Hosts whose digest differs between two sets of variables."""
    old, new = make_fleet(HOSTS, before), make_fleet(HOSTS, after, own)
    return {
        name
        for name in stage.targets(old)
        if digest.parts(stage, name, old, data, INDEX) != digest.parts(stage, name, new, data, INDEX)
    }


def test_a_variable_touches_only_the_stage_that_declares_it(role: Callable[..., Path]) -> None:
    role("node", "node_memory")
    data = role("controller", "partitions")
    node, controller = Stage("node", "node", ("node",)), Stage("controller", "controller", ("controller",))
    before, after = {"node_memory": 1, "partitions": []}, {"node_memory": 2, "partitions": []}
    assert changed(node, data, before, after) == {"n1", "n2"}
    assert changed(controller, data, before, after) == set()


def test_a_host_variable_touches_only_that_host(role: Callable[..., Path]) -> None:
    data = role("node", "node_memory")
    stage = Stage("node", "node", ("node",))
    same = {"node_memory": 1}
    assert changed(stage, data, same, same, own={"n2": {"node_memory": 3}}) == {"n2"}


def test_data_of_other_hosts_counts_where_a_stage_reads_it(role: Callable[..., Path]) -> None:
    data = role("controller", "node_memory")
    reading = Stage("controller", "controller", ("controller",), peers=(Peers("node", ("node_*",)),))
    assert changed(reading, data, {}, {}, own={"n2": {"node_memory": 3}}) == {"ctl1"}
    assert changed(reading, data, {}, {}, own={"n2": {"other": 3}}) == set()
    # A variable of the nodes' own role that the controller does not declare is none of its business.
    assert changed(reading, data, {}, {}, own={"n2": {"node_limits": 3}}) == set()


def test_variables_inside_jinja_count(role: Callable[..., Path]) -> None:
    data = role("node", "address")
    stage = Stage("node", "node", ("node",))
    before = {"address": "{{ scheme }}://x", "scheme": "http"}
    assert changed(stage, data, before, {**before, "scheme": "https"}) == {"n1", "n2"}


def test_variables_of_included_roles_count(role: Callable[..., Path]) -> None:
    role("certificate", "days")
    task = "- name: Certificate\n  ansible.builtin.include_role:\n    name: certificate\n"
    data = role("node", task=task)
    stage = Stage("node", "node", ("node",))
    assert changed(stage, data, {"days": 30}, {"days": 60}) == {"n1", "n2"}


def test_the_roles_that_a_role_depends_on_count(role: Callable[..., Path]) -> None:
    data = role("common", "cluster")
    role("node")
    (data / "roles/node/meta").mkdir(exist_ok=True)
    (data / "roles/node/meta/main.yml").write_text("dependencies: [{role: common}]\n")
    stage = Stage("node", "node", ("node",))
    assert changed(stage, data, {"cluster": "a"}, {"cluster": "b"}) == {"n1", "n2"}
    assert "role:common" in digest.parts(stage, "n1", make_fleet(HOSTS), data, INDEX)


def test_a_changed_role_file_and_a_changed_artefact_are_named(role: Callable[..., Path]) -> None:
    data = role("node")
    stage = Stage("node", "node", ("node",), artifacts=("kubelet",))
    fleet = make_fleet(HOSTS)
    old = digest.parts(stage, "n1", fleet, data, INDEX)
    role("node", task="- name: Other\n")
    digest.tree.cache_clear()
    new = digest.parts(stage, "n1", fleet, data, {"binaries": {"kubelet": {"sha256": "33"}}})
    assert digest.differences(old, new) == ("artefact kubelet changed", "role node changed")


def test_values_are_not_in_the_parts(role: Callable[..., Path]) -> None:
    data = role("node", "secret_key")
    fleet = make_fleet(HOSTS, {"secret_key": "correct-horse-battery"})
    parts = digest.parts(Stage("node", "node", ("node",)), "n1", fleet, data, {})
    assert "variable:secret_key" in parts
    assert "correct-horse" not in str(parts)
