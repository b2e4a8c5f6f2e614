"""Whose a host is: what it says of itself, and which stages count there."""

import subprocess

import pytest

from platformctl.engine.planning import ownership, record

_ALL = "base kubernetes_node kubernetes_network slurm_node munge"


def _said(tmp_path, *marks):
    for mark in marks:
        (tmp_path / mark).mkdir()
    script = f"{ownership.ASK}\n{ownership.LEAVE_OUT}".replace(ownership.OWNER, str(tmp_path))
    asked = ["sh", "-euc", f'applied=" {_ALL} "\n{script}\necho "applied $applied"']
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    away, rest = ownership.split(said)
    return away, set(rest.removeprefix("applied ").split())


@pytest.mark.parametrize(
    ("marks", "away"),
    [
        ((), set()),
        (("given", "kubernetes"), {"slurm_node"}),
        (("given", "slurm"), {"kubernetes_node", "kubernetes_network"}),
        (("given", "slurm", "kubernetes"), {"slurm_node", "kubernetes_node", "kubernetes_network"}),
    ],
)
def test_a_host_says_which_stages_are_out_of_service(tmp_path, marks, away):
    assert _said(tmp_path, *marks) == (away, set(_ALL.split()) - away)


def test_the_mark_lies_with_what_else_a_host_records():
    assert ownership.OWNER.startswith(f"{record.FOLDER}/")


@pytest.mark.parametrize(
    ("away", "owner"),
    [
        ((), "shared"),
        (("slurm_node",), "kubernetes"),
        (("kubernetes_node", "kubernetes_network"), "slurm"),
        (("slurm_node", "kubernetes_node", "kubernetes_network"), "moving"),
    ],
)
def test_the_present_owner_is_who_has_stages_in_service(away, owner):
    assert ownership.owner(away, "shared") == owner
