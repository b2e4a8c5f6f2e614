"""What is taken along from the shell, as sbatch does it, but for secrets."""

from dataclasses import replace

import pytest

from platformctl.jobs.sbatch_environment import Taken, exported, from_file, of_client
from tests.cases.scripts import CALLER

SHELL = replace(
    CALLER,
    environment={
        "DATASET": "one", "BASH_FUNC_module%%": "() { :; }", "_": "x", "PWD": "/", "SLURM_JOB_ID": "1",
        "AWS_SECRET_ACCESS_KEY": "x", "GITHUB_TOKEN": "x", "DB_PASSWORD": "x", "URL": "https://a:b@c.example/",
        "KEYBOARD": "de",
    },
)  # fmt: skip


@pytest.mark.parametrize("text", ["ALL", "all"])
def test_all_is_the_shell_without_secrets(text: str) -> None:
    assert exported(text, SHELL) == Taken(
        {"DATASET": "one", "BASH_FUNC_module%%": "() { :; }", "KEYBOARD": "de"},
        login=False,
        left=("AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "GITHUB_TOKEN", "URL"),
    )


def test_without_a_shell_to_take_along_the_login_is_the_next_best() -> None:
    assert exported("ALL", None) == Taken({}, login=True)
    assert exported("ALL", replace(SHELL, whole=False)) == Taken({}, login=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1,B=x=y,A=2", {"A": "2", "B": "x=y"}),
        ("'A=1,2','B=\"3,\"'", {"A": "1,2", "B": '"3,"'}),
        ("A='1,B=2'", {"A": "'1,B=2'"}),
        ("\"A=1\",B=''", {"A": "1", "B": "''"}),
        ("A=it's,B=1", {"A": "it's,B=1"}),
        ("DATASET,MISSING", {"DATASET": "one"}),
        ("GITHUB_TOKEN", {"GITHUB_TOKEN": "x"}),
    ],
)
def test_names_and_values_come_with_the_login(text: str, expected: dict[str, str]) -> None:
    taken = exported(text, SHELL)
    assert taken.variables == {**expected, "SLURM_EXPORT_ENV": text}
    assert taken.login


def test_a_list_may_hold_all_and_what_is_named_is_taken() -> None:
    taken = exported("ALL,GITHUB_TOKEN,SEED=1", SHELL)
    assert {name: taken.variables[name] for name in ("DATASET", "GITHUB_TOKEN", "SEED")} == {
        "DATASET": "one", "GITHUB_TOKEN": "x", "SEED": "1",
    }  # fmt: skip
    assert "GITHUB_TOKEN" not in taken.left


@pytest.mark.parametrize("text", ["A-B", "", "=1", "A,,B"])
def test_what_is_no_list_of_names_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a name"):
        exported(text, SHELL)


def test_a_file_of_variables() -> None:
    assert from_file("A=1\nB=2 3\n") == {"A": "1", "B": "2 3"}
    assert from_file("A=1\nx\0B=2\0") == {"A": "1\nx", "B": "2"}
    with pytest.raises(ValueError, match="not NAME=value"):
        from_file("A\n")


@pytest.mark.parametrize(
    ("propagate", "limits"),
    [
        (None, {"SLURM_RLIMIT_NOFILE": "1024", "SLURM_RLIMIT_CORE": "0"}),
        ("ALL", {"SLURM_RLIMIT_NOFILE": "U1024", "SLURM_RLIMIT_CORE": "U0"}),
        ("NONE", {}),
        ("core", {"SLURM_RLIMIT_CORE": "U0"}),
    ],
)
def test_limits_and_umask_are_those_of_the_shell(propagate: str | None, limits: dict[str, str]) -> None:
    found = of_client(replace(SHELL, limits={"NOFILE": "1024", "CORE": "0"}), propagate)
    assert {name: text for name, text in found.items() if "RLIMIT" in name} == limits
    assert found["SLURM_UMASK"] == "0022"


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="'FILES' is not a limit"):
        of_client(SHELL, "FILES")
