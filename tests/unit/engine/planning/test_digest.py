import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths
from platformctl.engine.planning import digest
from platformctl.engine.stages import STAGES, Peers, Stage, StageRunner
from tests.ansible_files import load
from tests.unit.engine.sites import make_fleet

HOSTS = {"ctl1": ("controller",), "n1": ("node",), "n2": ("node",)}
INDEX = {"lock": "abc", "binaries": {"kubelet": {"sha256": "11"}, "helm": {"sha256": "22"}}, "images": {}}


def changed(stage: Stage, data: Path, before: dict, after: dict, own: dict | None = None) -> set[str]:
    """Hosts whose digest differs between two sets of variables."""
    old, new = make_fleet(HOSTS, before), make_fleet(HOSTS, after, own)
    return {
        name
        for name in stage.targets(old)
        if digest.StageDigest(stage, old, data, INDEX).parts(name)
        != digest.StageDigest(stage, new, data, INDEX).parts(name)
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
    assert "role:common" in digest.StageDigest(stage, make_fleet(HOSTS), data, INDEX).parts("n1")


def test_a_changed_role_file_and_a_changed_artefact_are_named(role: Callable[..., Path]) -> None:
    data = role("node")
    stage = Stage("node", "node", ("node",), artifacts=("kubelet",))
    fleet = make_fleet(HOSTS)
    old = digest.StageDigest(stage, fleet, data, INDEX).parts("n1")
    role("node", task="- name: Other\n")
    digest.tree.cache_clear()
    new = digest.StageDigest(stage, fleet, data, {"binaries": {"kubelet": {"sha256": "33"}}}).parts("n1")
    assert digest.differences(old, new) == ("artefact kubelet changed", "role node changed")


def test_values_are_not_in_the_parts(role: Callable[..., Path]) -> None:
    data = role("node", "secret_key")
    fleet = make_fleet(HOSTS, {"secret_key": "correct-horse-battery"})
    parts = digest.StageDigest(Stage("node", "node", ("node",)), fleet, data, {}).parts("n1")
    assert "variable:secret_key" in parts
    assert "correct-horse" not in str(parts)


def test_the_order_of_keys_is_no_change(role: Callable[..., Path]) -> None:
    data = role("node", "limits")
    stage = Stage("node", "node", ("node",))
    before, after = {"limits": {"a": 1, "b": 2}}, {"limits": {"b": 2, "a": 1}}
    assert changed(stage, data, before, after) == set()


def test_values_that_only_yaml_has_count(role: Callable[..., Path]) -> None:
    data = role("node", "until")
    stage = Stage("node", "node", ("node",))
    assert changed(stage, data, {"until": date(2026, 1, 1)}, {"until": date(2026, 1, 2)}) == {"n1", "n2"}


def test_variables_that_mention_each_other_have_an_end(role: Callable[..., Path]) -> None:
    data = role("node", "a")
    stage = Stage("node", "node", ("node",))
    before = {"a": "{{ b }}{{ c }}", "b": "{{ a }}", "c": "{% if d %}{{ a }}{% endif %}", "d": 1}
    assert changed(stage, data, before, {**before, "d": 2}) == {"n1", "n2"}
    plain = {"a": "b c", "b": 1, "c": 1}
    assert changed(stage, data, plain, {**plain, "b": 2}) == set()


def test_the_first_of_a_group_alone_counts_where_a_stage_says_so(role: Callable[..., Path]) -> None:
    data = role("controller")
    stage = Stage(
        "controller", "controller", ("controller",), peers=(Peers("node", ("memory",), first=True),)
    )
    assert changed(stage, data, {}, {}, own={"n1": {"memory": 3}}) == {"ctl1"}
    assert changed(stage, data, {}, {}, own={"n2": {"memory": 3}}) == set()


def test_another_group_changes_what_all_hosts_get() -> None:
    stage = Stage("base", "all")
    old, new = make_fleet({"n1": ("node",)}), make_fleet({"n1": ("node", "login")})
    parts = [digest.StageDigest(stage, fleet, Path(), {}).parts("n1") for fleet in (old, new)]
    assert digest.differences(*parts) == ("membership of groups changed",)
    node = Stage("node", "node")
    assert (
        digest.StageDigest(node, old, Path(), {}).parts("n1")
        == digest.StageDigest(node, new, Path(), {}).parts("n1")
        == {}
    )


def test_modules_that_roles_share_and_folders_of_a_stage_count(role: Callable[..., Path]) -> None:
    data = role("node")
    module, chart = data / "playbooks/library/x.py", data / "charts/y/values.yaml"
    stages = [Stage("node", "node", ("node",)), Stage("charts", "node", folders=("charts/y",))]
    for path in (module, chart):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    old = [digest.StageDigest(stage, make_fleet(HOSTS), data, {}).parts("n1") for stage in stages]
    digest.tree.cache_clear()
    for path in (module, chart):
        path.write_text("2")
    new = [digest.StageDigest(stage, make_fleet(HOSTS), data, {}).parts("n1") for stage in stages]
    assert [digest.differences(*both) for both in zip(old, new, strict=True)] == [
        ("files in playbooks/library changed",),
        ("files in charts/y changed",),
    ]


def test_a_step_on_this_machine_reads_the_variables_of_the_host_that_keeps_its_digest() -> None:
    stage = Stage("charts", "localhost", variables=("memory",), record="node")
    old = digest.StageDigest(stage, make_fleet(HOSTS, {"memory": 1}), Path(), {}).parts("localhost")
    new = digest.StageDigest(
        stage, make_fleet(HOSTS, {"memory": 1}, {"n1": {"memory": 2}}), Path(), {}
    ).parts("localhost")
    other = digest.StageDigest(
        stage, make_fleet(HOSTS, {"memory": 1}, {"n2": {"memory": 2}}), Path(), {}
    ).parts("localhost")
    assert digest.differences(old, new) == ("variable memory changed",)
    assert other == old


def test_what_came_and_what_went_is_told() -> None:
    old = {"variable:a": "1", "variable:b": "1", "peers:node": "1"}
    new = {"variable:b": "2", "variable:c": "1", "peers:node": "2"}
    assert digest.differences(old, new) == (
        "data of hosts in group node changed",
        "variable a is gone",
        "variable b changed",
        "variable c is new",
    )


def test_artefacts_are_told_apart_by_what_identifies_them() -> None:
    index = {
        "lock": "0123456789abcdef0123",
        "binaries": {"kubelet": {"sha256": "1" * 64}},
        "images": {"pause": {"digest": "sha256:" + "2" * 64}},
        "charts": {"cni": {"version": "1"}, "dns": {"version": "2"}},
    }
    stage = Stage("node", "node", artifacts=("kubelet", "pause", "cni"))
    parts = digest.StageDigest(stage, make_fleet(HOSTS), Path(), index).parts("n1")
    assert (parts["artifact:kubelet"], parts["artifact:pause"]) == ("1" * 16, "2" * 16)
    assert "artifact:dns" not in parts
    newer = {**index, "charts": {"cni": {"version": "2"}}}
    other = digest.StageDigest(stage, make_fleet(HOSTS), Path(), newer).parts("n1")
    assert digest.differences(parts, other) == ("artefact cni changed",)


def test_a_stage_of_all_artefacts_follows_the_lock_of_the_store() -> None:
    stage = Stage("registry", "node", artifacts=("*",))
    whole = digest.StageDigest(stage, make_fleet(HOSTS), Path(), INDEX).parts("n1")
    assert whole == {"artifact:store": "abc"}
    assert digest.StageDigest(stage, make_fleet(HOSTS), Path(), {}).parts("n1") == {}


SITE = {
    "ctl1": ("kubernetes_control_plane", "containerd", "slurm_controller", "slurm_rest"),
    "k1": ("kubernetes_node", "containerd"),
    "n1": ("slurm_node", "gpu"),
    "n2": ("slurm_node",),
}
PARTITIONS = {"slurm_partitions": [{"name": "main", "nodes": "all"}, {"name": "fast", "nodes": ["gpu"]}]}


def due(
    own: dict[str, dict[str, Any]] | None = None,
    before: dict[str, tuple[str, ...]] | None = None,
    after: dict[str, tuple[str, ...]] | None = None,
) -> dict[str, set[str]]:
    """Hosts by stage of the real table that a change of the site must reach."""
    old, new = make_fleet(before or SITE, PARTITIONS), make_fleet(after or SITE, PARTITIONS, own)
    found = {}
    for stage in (stage for stage in STAGES if stage.runner is not StageRunner.PREFLIGHT):
        was, now = (digest.StageDigest(stage, fleet, paths.data_dir(), INDEX) for fleet in (old, new))
        hosts = {name for name in stage.targets(new) if was.parts(name) != now.parts(name)}
        found |= {stage.name: hosts} if hosts else {}
    return found


def test_a_host_that_joins_a_group_of_a_partition_reaches_the_controller() -> None:
    found = due(after=SITE | {"n2": ("slurm_node", "gpu")})
    assert found == {"base": {"n2"}, "slurm_controller": {"ctl1"}}
    assert due(after=SITE | {"k1": (*SITE["k1"], "gpu")}) == {"base": {"k1"}}  # no node of Slurm


def test_the_address_among_hosts_reaches_all_who_name_the_host() -> None:
    found = due(own={"n2": {"base_address": "192.0.2.99"}})
    here = {"charts": {"localhost"}, "verify": {"localhost"}}
    assert found == {"base": set(SITE), "slurm_controller": {"ctl1"}, **here}


def test_a_new_address_reaches_the_services_of_the_host_itself() -> None:
    assert due(own={"k1": {"ansible_host": "192.0.2.99"}})["kubernetes_node"] == {"k1"}
    assert due(own={"ctl1": {"ansible_host": "192.0.2.99"}})["slurm_rest"] == {"ctl1"}


def test_the_address_and_the_port_of_the_rest_service_reach_the_charts() -> None:
    changes = ({"ansible_host": "192.0.2.99"}, {"base_address": "192.0.2.99"}, {"slurm_rest_port": 6821})
    site = SITE | {"ctl1": SITE["ctl1"][:3], "n2": ("slurm_node", "slurm_rest")}
    for change in changes:
        assert due({"n2": change}, site, site)["charts"] == {"localhost"}


def test_a_new_host_reaches_the_charts_as_pods_of_users_must_not_connect_to_it() -> None:
    assert due(after=SITE | {"k2": SITE["k1"]})["charts"] == {"localhost"}


def test_the_first_host_of_a_scheduler_reaches_the_charts() -> None:
    for host, bare in (("ctl1", SITE["ctl1"][:3]), ("k1", ("containerd",))):
        assert due(before=SITE | {host: bare})["charts"] == {"localhost"}


def test_every_stage_that_installs_packages_is_made_of_the_role_for_it() -> None:
    """So that a change of how packages are installed reaches the hosts."""
    roles = paths.data_dir() / "roles"
    texts = {path: path.read_text() for path in roles.glob("*/tasks/*.yml")}
    calling = {
        path.parts[-3]
        for path, text in texts.items()
        if "ansible.builtin.apt:" in text or "host_packages:" in text
    }
    assert calling == {"packages"}
    importing = {path.parts[-3] for path, text in texts.items() if "name: packages\n" in text}
    assert len(importing) == 10
    made_of = {
        name for stage in STAGES for name in stage.roles if "packages" in digest.with_included((name,), roles)
    }
    assert made_of == importing


def used_modules(stage: Stage) -> set[str]:
    """The modules of platformctl behind the filters that the roles of a stage use."""
    data = paths.data_dir()
    found = set()
    for plugin in data.glob("roles/*/filter_plugins/*.py"):
        imports = re.findall(r"^from (platformctl[\w.]*) import (.+)$", plugin.read_text(), re.MULTILINE)
        modules = {f"{package}.{name.strip()}" for package, names in imports for name in names.split(",")}
        filters = load(str(plugin.relative_to(data))).FilterModule().filters()
        used = re.compile(rf"\b({'|'.join(filters)})\b")
        files = [
            file
            for role in digest.with_included(stage.roles, data / "roles")
            for part in ("tasks", "templates", "vars")
            for file in (data / "roles" / role / part).rglob("*")
        ]
        if any(used.search(file.read_text()) for file in files if file.is_file()):
            found |= modules
    return found


# Its findings are the result, whatever they were found with.
@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage.name != "preflight"], ids=lambda stage: stage.name
)
def test_a_stage_names_the_modules_that_its_roles_use(stage: Stage) -> None:
    assert used_modules(stage) <= set(stage.modules)


def test_a_changed_module_is_a_reason_to_run_its_stages() -> None:
    stage = next(stage for stage in STAGES if stage.name == "slurm_controller")
    assert "platformctl.site.devices" in used_modules(stage)
    parts = digest.StageDigest(stage, make_fleet({"n1": ("slurm_controller",)}), paths.data_dir(), {}).parts(
        "n1"
    )
    assert "module:platformctl.site.devices" in parts
    old = {**parts, "module:platformctl.site.devices": "other"}
    assert list(digest.differences(old, parts)) == ["module platformctl.site.devices changed"]
