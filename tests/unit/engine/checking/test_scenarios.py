import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.template import Templar, trust_as_template

from platformctl import paths
from platformctl.engine import loading
from platformctl.engine.checking import scenarios
from platformctl.engine.stages import STAGES, StageRunner
from platformctl.errors import ExitCode, PlatformError

ALL = scenarios.scenarios(paths.data_dir())


def names(*changed: str) -> set[str]:
    """Scenarios that changed files concern."""
    return {scenario.name for scenario in scenarios.touched(ALL, changed)}


def test_every_role_of_a_stage_is_in_a_scenario_and_in_a_variant() -> None:
    roles = {role for stage in STAGES if stage.runner is StageRunner.PLAYBOOK for role in stage.roles}
    assert roles
    for role in roles:
        found = names(f"roles/{role}/tasks/main.yml")
        assert {name for name in found if not name.endswith("-alternative")}, role
        assert {name for name in found if name.endswith("-alternative")}, role


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("roles/slurm_node/tasks/main.yml", {"slurm", "slurm-alternative"}),
        ("roles/slurm/filter_plugins/slurm_config.py", {"slurm", "slurm-alternative"}),
        (
            "playbooks/registry.yml",
            {
                "containers",
                "containers-alternative",
                "kubernetes",
                "kubernetes-alternative",
            },
        ),
        ("molecule/slurm-alternative/variables.yml", {"slurm-alternative"}),
        ("molecule/slurm/verify.yml", {"slurm", "slurm-alternative"}),
        ("molecule/lab/create.yml", {scenario.name for scenario in ALL}),
        ("docs/operating.md", set()),
        ("roles/slurm_node.md", set()),
    ],
)
def test_a_change_names_the_scenarios_it_concerns(changed: str, expected: set[str]) -> None:
    assert names(changed) == expected


def test_changes_that_concern_no_scenario_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "changed_since", lambda *_: ["docs/operating.md"])
    with pytest.raises(PlatformError, match="no scenario is concerned by what changed since HEAD") as refused:
        scenarios.concerned(ALL, paths.data_dir(), "HEAD")
    assert refused.value.code is ExitCode.INVALID
    monkeypatch.setattr(scenarios, "changed_since", lambda *_: ["roles/munge/tasks/main.yml"])
    assert {found.name for found in scenarios.concerned(ALL, paths.data_dir(), "HEAD")} == {
        "slurm",
        "slurm-alternative",
    }


def test_what_changed_since_a_revision_is_what_git_says(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(tmp_path)]
    (tmp_path / "kept").write_text("1")
    (tmp_path / "changed").write_text("1")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "changed").write_text("2")
    (tmp_path / "new").write_text("1")
    assert scenarios.changed_since(tmp_path, "HEAD") == ["changed", "new"]
    with pytest.raises(PlatformError, match="nowhere"):
        scenarios.changed_since(tmp_path, "nowhere")


def test_variants_have_variables_and_the_playbooks_of_their_scenario() -> None:
    variants = [scenario for scenario in ALL if scenario.name.endswith("-alternative")]
    assert len(variants) * 2 == len(ALL)
    for variant in variants:
        folder = paths.data_dir() / "molecule" / variant.name
        assert (folder / "variables.yml").is_file()
        assert f"molecule/{variant.name.removesuffix('-alternative')}" in variant.sources


def test_each_checkout_and_user_has_labs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    file = paths.data_dir() / "molecule" / "lab" / "variables.yml"
    variables = {name: trust_as_template(text) for name, text in yaml.safe_load(file.read_text()).items()}

    def lab(scenario: str, project: str, home: str) -> str:
        monkeypatch.setenv("MOLECULE_SCENARIO_NAME", scenario)
        monkeypatch.setenv("MOLECULE_PROJECT_DIRECTORY", project)
        monkeypatch.setenv("HOME", home)
        return str(Templar(loader=loading._loader(file), variables=variables).template(variables["lab"]))

    places = [("/one", "/home/a"), ("/two", "/home/a"), ("/one", "/home/b")]
    labs = [lab(scenario.name, *place) for scenario in ALL for place in places]
    assert len(set(labs)) == len(ALL) * len(places)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) for name in labs)
    # What create made, destroy finds.
    assert lab(ALL[-1].name, *places[-1]) == labs[-1]


@pytest.mark.parametrize("connection", ["ssh", "local"])
def test_no_scenario_runs_where_ansible_would_reach_something_else(tmp_path: Path, connection: str) -> None:
    lab = {"inventory": str(tmp_path / "lab"), "hosts": {"a": "198.18.0.75"}}
    (tmp_path / "lab" / "host_vars").mkdir(parents=True)
    (tmp_path / "lab" / "hosts.yml").write_text("all: {hosts: {a: {ansible_host: 198.18.0.75}}}")
    (tmp_path / "lab" / "host_vars" / "a").write_text(f"ansible_connection: {connection}")
    (tmp_path / "platformctl").write_text(f"#!/bin/sh\necho '{json.dumps(lab)}'\n")
    (tmp_path / "platformctl").chmod(0o700)
    programs = Path(sys.executable).parent
    (tmp_path / "ansible-inventory").symlink_to(programs / "ansible-inventory")
    playbook = paths.data_dir() / "molecule" / "lab" / "create.yml"
    done = subprocess.run(
        [programs / "ansible-playbook", "--extra-vars", f"programs={tmp_path}", playbook],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "MOLECULE_SCENARIO_NAME": "slurm",
            "MOLECULE_PROJECT_DIRECTORY": "/project",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
        },
    )
    assert (done.returncode == 0) == (connection == "ssh"), done.stdout
    # Without the link, no step of the scenario has a host.
    assert (tmp_path / "site").is_symlink() == (connection == "ssh")
    assert ("leads to other places than the lab" in done.stdout) == (connection != "ssh")


def test_an_unknown_scenario_is_named_with_those_there_are() -> None:
    with pytest.raises(PlatformError) as caught:
        scenarios.chosen(ALL, ["slurm", "slrum"])
    assert caught.value.code is ExitCode.INVALID
    assert "slrum" in caught.value.what
    assert "slurm-alternative" in caught.value.where
    assert scenarios.chosen(ALL, []) == ALL
    assert [found.name for found in scenarios.chosen(ALL, ["slurm"])] == ["slurm"]


def test_molecule_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(PlatformError, match="molecule is not installed") as caught:
        scenarios.prove(ALL[0], paths.data_dir(), tmp_path, sys.stdout)
    assert "pip install" in caught.value.next
