"""The stage table, and what must follow it: playbooks, roles, units, ports, artefacts, the example site."""

import fnmatch
import re
from typing import Any

import pytest
import yaml

from platformctl import paths
from platformctl.artifacts import catalogue
from platformctl.artifacts.charts import find_charts
from platformctl.engine.checking.proofs import TABLE
from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.planning import digest
from platformctl.engine.stages import STAGES, Stage, StageRunner
from platformctl.site.variables import known

DATA = paths.data_dir()
APPLIED = [stage for stage in STAGES if stage.group != LOCALHOST]
HERE = [stage for stage in STAGES if stage.group == LOCALHOST]
# They do their work once, when the host starts.
DONE_AT_ONCE = {"systemd-modules-load", "systemd-sysctl"}
# Only on hosts with devices; there a health check looks at it.
WITH_DEVICES = {"platformctl-device-health"}


def playbook(name: str) -> Any:
    path = DATA / "playbooks" / f"{name}.yml"
    assert path.is_file(), f"write playbooks/{name}.yml"
    return yaml.safe_load(path.read_text())


def tasks_of(role: str) -> list[dict[str, Any]]:
    """The tasks of a role that install and configure."""
    files = sorted((DATA / "roles" / role / "tasks").glob("*.yml"))
    return [task for file in files if file.stem != "reset" for task in yaml.safe_load(file.read_text())]


def test_a_stage_stands_below_what_it_needs() -> None:
    names = [stage.name for stage in STAGES]
    early = [
        f"{stage.name} before {need.stage}"
        for stage in STAGES
        for need in stage.needs
        if names.index(need.stage) > names.index(stage.name)
    ]
    assert early == []


def test_site_yml_imports_the_playbooks_of_all_stages_in_order() -> None:
    wanted = [
        {"name": f"Stage {stage.name}", "ansible.builtin.import_playbook": f"{stage.name}.yml"}
        for stage in STAGES
    ]
    assert playbook("site") == wanted, "playbooks/site.yml must have the stages of the table, in its order"


@pytest.mark.parametrize("stage", APPLIED, ids=lambda stage: stage.name)
def test_the_playbook_of_a_stage_applies_its_roles_to_its_hosts(stage: Stage) -> None:
    (play,) = playbook(stage.name)
    assert play["hosts"] == stage.group + ("[0]" if stage.first else "")
    assert play["roles"] == [{"role": role, "tags": [role]} for role in stage.roles]


@pytest.mark.parametrize("stage", HERE, ids=lambda stage: stage.name)
def test_the_playbook_of_a_step_on_this_machine_runs_platformctl(stage: Stage) -> None:
    (play,) = playbook(stage.name)
    (task,) = play["tasks"]
    program, command, *_ = task["ansible.builtin.command"]["argv"]
    assert (play["hosts"], task["tags"]) == (LOCALHOST, [stage.name])
    assert (program.rpartition("/")[2], command) == ("platformctl", stage.name)


def test_reset_yml_undoes_the_roles_of_all_stages_last_applied_first() -> None:
    applied = [role for stage in STAGES for role in stage.roles]
    undoable = [role for role in applied if (DATA / "roles" / role / "tasks" / "reset.yml").is_file()]
    wanted = [
        {
            "name": f"Undo {role}",
            "ansible.builtin.include_role": {"name": role, "tasks_from": "reset"},
            "when": f"'{role}' in (reset_roles | default({{}})).get(inventory_hostname, [])",
            "tags": ["always"],
        }
        for role in reversed(undoable)
    ]
    (play,) = playbook("reset")
    assert play["tasks"] == wanted, "playbooks/reset.yml must undo every role that has tasks/reset.yml"


def test_every_role_that_changes_a_host_can_be_undone() -> None:
    # These apply manifests to the cluster, which goes with its control plane; preflight changes nothing.
    without = {"preflight", "kubernetes_network", "kubernetes_addons"}
    applied = {role for stage in STAGES for role in stage.roles}
    assert without < applied
    lacking = {
        role for role in applied - without if not (DATA / "roles" / role / "tasks" / "reset.yml").is_file()
    }
    assert lacking == set()


def roles_of(stage: Stage) -> set[str]:
    """The roles of a stage, with those that they include."""
    return set(digest.with_included(list(stage.roles), DATA / "roles"))


@pytest.mark.parametrize("stage", APPLIED, ids=lambda stage: stage.name)
def test_every_unit_that_a_stage_runs_is_looked_at(stage: Stage) -> None:
    units = {
        unit.removesuffix(".service")
        for role in roles_of(stage)
        for task in tasks_of(role)
        for arguments in task.values()
        if isinstance(arguments, dict)
        for unit in arguments.get("services") or ()
    }
    missing = units - {*stage.services, *stage.units, *DONE_AT_ONCE, *WITH_DEVICES}
    assert not missing, f"name {missing} in `services` or `units` of stage {stage.name}"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_proven_or_says_why_not(stage: Stage) -> None:
    assert bool(stage.proofs) != bool(stage.unproven), f"give {stage.name} `proofs`, or say why in `unproven`"
    assert set(stage.proofs) <= set(TABLE), "name proofs of engine/checking/proofs"


def test_every_health_check_proves_a_stage() -> None:
    assert set(TABLE) == {name for stage in STAGES for name in stage.proofs}


def test_health_checks_differ_by_their_names() -> None:
    names = [check.name for check in TABLE.values()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("stage", APPLIED, ids=lambda stage: stage.name)
def test_preflight_looks_at_the_port_that_a_role_lets_a_site_choose(stage: Stage) -> None:
    chosen = {
        f"{role}_port" for role in stage.roles if f"{role}_port" in digest.declared(DATA / "roles" / role)
    }
    assert chosen == {port.number for port in stage.ports if isinstance(port.number, str)}


def test_the_variables_of_the_table_are_variables_of_sites() -> None:
    named = {
        name
        for stage in STAGES
        for name in (*stage.variables, *(port.number for port in stage.ports))
        if isinstance(name, str)
    }
    assert named - set(known(DATA)) == set()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_what_disturbs_is_part_of_the_stage(stage: Stage) -> None:
    """A pattern that fits nothing would never say that a daemon restarts, or that work ends."""
    roles = digest.with_included(stage.roles, DATA / "roles")
    names = {*stage.variables, *(name for role in roles for name in digest.declared(DATA / "roles" / role))}
    parts = {f"variable:{name}" for name in names} | {f"{kind}:x" for kind in stage.listed}
    parts |= {"size:x"} if stage.sized else set()
    parts |= {f"peers:{peers.group}" for peers in stage.peers} | {
        f"artifact:{name}" for name in stage.artifacts
    }
    given = [*(daemon.parts for daemon in stage.daemons), *(harm.parts for harm in stage.harms)]
    idle = {pattern for patterns in given for pattern in patterns if not fnmatch.filter(parts, pattern)}
    assert idle == set()


def test_the_artefacts_of_the_table_are_in_the_catalogue() -> None:
    made = catalogue.load()
    names = {*made.delivered(), *made.images, *find_charts()}
    idle = {
        f"{stage.name}: {pattern}"
        for stage in STAGES
        for pattern in stage.artifacts
        if not any(digest._named(name, [pattern]) for name in names)
    }
    assert idle == set()


def test_the_example_site_shows_every_group() -> None:
    text = (DATA / "inventories" / "example-site" / "hosts.yml").read_text()
    groups = {stage.group for stage in APPLIED} - {"all"}
    assert {group for group in groups if not re.search(rf"^ +{group}:$", text, re.MULTILINE)} == set()


def test_each_step_of_the_engine_is_in_the_table_once() -> None:
    runners = [stage.runner for stage in STAGES if stage.runner is not StageRunner.PLAYBOOK]
    assert sorted(runners) == sorted(set(StageRunner) - {StageRunner.PLAYBOOK})
