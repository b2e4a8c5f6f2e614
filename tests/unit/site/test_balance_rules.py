"""Mistakes of node_balance."""

import pytest

from tests.unit.site.conftest import Sandbox


def movable(box: Sandbox) -> None:
    box.groups["slurm_node"].append("node1")
    box.groups["munge"].append("node1")
    box.hosts["node1"]["node_owner"] = "slurm"


def balanced(box: Sandbox, text: str) -> None:
    box.text("group_vars/all/balance.yml", f"node_balance: {text}")


def test_what_is_right_is_no_mistake(sandbox: Sandbox) -> None:
    movable(sandbox)
    balanced(sandbox, "{enabled: true, slurm_at_least: 0, idle_minutes: 0, at_once: 1}")
    assert sandbox.mistakes() == []


@pytest.mark.parametrize(("text", "key"), [("at_once: 0", "at_once"), ("waits_minutes: -1", "waits_minutes")])
def test_a_number_that_is_too_small(sandbox: Sandbox, text: str, key: str) -> None:
    movable(sandbox)
    balanced(sandbox, f"{{enabled: true, {text}}}")
    mistake = sandbox.only()
    assert (mistake.key, mistake.problem) == (f"node_balance.{key}", "it is too small")


def test_without_a_host_that_can_move(sandbox: Sandbox) -> None:
    balanced(sandbox, "{enabled: true}")
    mistake = sandbox.only()
    assert (mistake.key, mistake.problem) == ("node_balance.enabled", "no host can move")


def test_what_one_host_has_alone(sandbox: Sandbox) -> None:
    movable(sandbox)
    sandbox.hosts["node1"]["node_balance"] = {"enabled": True}
    assert "balanced together" in sandbox.only().problem


def test_an_unknown_bound(sandbox: Sandbox) -> None:
    movable(sandbox)
    balanced(sandbox, "{enabled: true, idle_minute: 3}")
    assert "idle_minutes" in sandbox.only().remedy
