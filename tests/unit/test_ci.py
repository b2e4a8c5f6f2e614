"""Public workflows run the Makefile's targets, for a change those of `.ci/run`; labs take another source.

And lint says what is wrong, also where it finds nothing to check.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.artifacts.lock import lock_path, read_lock

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
# Parts of `make test` that answer sooner by themselves.
QUICK = {"lint", "unit"}


def made(text: str) -> set[str]:
    """Targets that a script makes."""
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", text))


def scripts(steps: list[dict[str, Any]]) -> str:
    """What the steps of a job run."""
    return "\n".join(step.get("run", "") for step in steps)


def jobs(name: str) -> dict[str, dict[str, Any]]:
    """The jobs of a workflow."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text())["jobs"]
    return found


def targets_of(name: str, event: str) -> set[str]:
    """Targets that a workflow makes for an event."""
    wanted = [
        job for job in jobs(name).values() if job.get("if") in {None, f"github.event_name == '{event}'"}
    ]
    return set().union(*(made(scripts(job["steps"])) for job in wanted))


def test_every_target_that_is_named_exists() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    names = [path.stem for path in GITHUB.glob("workflows/*.yml")]
    action = yaml.safe_load((GITHUB / "actions/prepare/action.yml").read_text())
    steps = {name: scripts([step for job in jobs(name).values() for step in job["steps"]]) for name in names}
    named = {name: made(run) for name, run in {**steps, "prepare": scripts(action["runs"]["steps"])}.items()}
    assert all(named.values()), "a file without a target would make this test idle"
    assert {name: found - known for name, found in named.items() if found - known} == {}


def test_a_change_passes_what_it_passes_here() -> None:
    here = made((ROOT / ".ci/run").read_text())
    assert here
    assert targets_of("ci", "pull_request") == QUICK | here
    assert targets_of("ci", "push") == QUICK | here | {"molecule"}


def test_the_whole_is_run_every_night() -> None:
    assert targets_of("nightly", "schedule") == {"molecule", "bench"}


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_no_job_runs_for_ever_or_keeps_credentials(name: str) -> None:
    for job in jobs(name).values():
        assert job["timeout-minutes"] <= 180
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"]["persist-credentials"] is False


def test_a_lab_takes_its_artefacts_from_elsewhere_with_pins(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(ROOT / "inventories/lab", lab, ignore=shutil.ignore_patterns("secrets.vault"))
    values = lab / "group_vars/all/artifacts.yml"
    values.write_text("artifacts_source: upstream\n")
    # Not those of the make that runs this test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # `modules` can be pinned without downloads. Setting up is done: it is no part of what is tested.
    command = ["make", "--old-file=setup", "source", f"LAB={lab}"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "SOURCE=upstream" in refused.stderr
    subprocess.run([*command, "SOURCE=modules"], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert yaml.safe_load(values.read_text()) == {"artifacts_source": "modules"}
    pinned = read_lock(lock_path(lab))
    assert pinned is not None
    assert pinned.source == "modules"
    assert pinned.pins


STEPS = [
    "ruff",
    "ruff format",
    "mypy",
    "import-linter",
    "yamllint",
    "shellcheck",
    "actionlint",
    "zizmor",
    "ansible syntax",
    "ansible-lint",
]


class Linted:
    """A repository with lint and nothing else; its tools are stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(".ci/lint", (ROOT / ".ci/lint").read_text())
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)

    def write(self, name: str, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def tool(self, name: str, text: str = "true") -> None:
        self.write(f".venv/bin/{name}", f"#!/bin/sh\n{text}\n")
        (self.folder / ".venv/bin" / name).chmod(0o755)

    def lint(self, step: str = "code") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache")}
        command = ["bash", ".ci/lint", step]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def linted(tmp_path: Path) -> Linted:
    return Linted(tmp_path)


def test_lint_that_finds_nothing_to_check_fails(linted: Linted) -> None:
    linted.tool("shellcheck")  # lint itself is a script
    done = linted.lint()
    assert done.returncode == 1
    for step in STEPS:
        if step != "shellcheck":
            assert f"lint: {step}: nothing to check, which is a defect" in done.stdout
    assert linted.lint("charts").returncode == 1


def test_lint_refuses_a_part_that_it_does_not_have(linted: Linted) -> None:
    done = linted.lint("kode")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not lint kode" in done.stderr


def role_and_playbook(linted: Linted) -> None:
    linted.write(".gitignore", "/.venv/\n/cache/\n")
    for name in ("playbooks/x.yml", "roles/x/meta/main.yml", "x.py", ".github/workflows/x.yml"):
        linted.write(name)
    for name in (
        "ruff",
        "mypy",
        "lint-imports",
        "yamllint",
        "shellcheck",
        "zizmor",
        "python",
        "ansible-lint",
    ):
        linted.tool(name)
    linted.tool("go", 'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\n" > "$2"; chmod +x "$2"')
    for name in ("go.mod", "go.sum"):
        linted.write(f".ci/actionlint/{name}")


def test_lint_fails_where_one_tool_does_and_names_it(linted: Linted) -> None:
    role_and_playbook(linted)
    done = linted.lint()
    assert done.returncode == 0, done.stdout
    assert [line.split(":")[1].strip() for line in done.stdout.splitlines()] == STEPS
    for step, tool in {"ansible syntax": "python", "ansible-lint": "ansible-lint"}.items():
        linted.tool(tool, "echo what is wrong; exit 2")
        done = linted.lint()
        linted.tool(tool)
        assert done.returncode == 1
        assert "what is wrong" in done.stdout
        assert f"lint: failed: {step}\n" in done.stdout


def test_ansible_lint_does_not_check_syntax_again(linted: Linted) -> None:
    role_and_playbook(linted)
    linted.tool("ansible-playbook", "echo the true one; exit 1")
    linted.tool("ansible-lint", "ansible-playbook --syntax-check x.yml && ansible-playbook --version; exit 1")
    done = linted.lint()
    assert done.stdout.count("the true one") == 1


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("ansible.builtin.debug:", ""),
        ("no_such_module:", "couldn't resolve module/action 'no_such_module'"),
        ("ansible.builtin.import_role: {name: no_such_role}", "The role 'no_such_role' was not found"),
    ],
)
@pytest.mark.parametrize("kind", ["role", "playbook"])
def test_syntax_is_checked(tmp_path: Path, kind: str, task: str, said: str) -> None:
    tasks = tmp_path / "roles/x/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    (tmp_path / "x.yml").write_text(f"- hosts: localhost\n  tasks:\n    - {task}\n")
    tasks.write_text(f"- {task}\n")
    checked = "roles/x" if kind == "role" else "x.yml"
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/ansible_syntax.py"), checked],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_ROLES_PATH": str(tmp_path / "roles")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if said else 0)
    assert done.stdout.startswith(f"{checked}:" if said else "")
    assert said in done.stdout


def test_types_are_checked_wherever_the_product_has_python() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    product = [name for name in listed if not name.startswith(("tests/", "docs/", "charts/"))]
    assert product
    assert [name for name in product if not any(Path(name).is_relative_to(place) for place in checked)] == []
