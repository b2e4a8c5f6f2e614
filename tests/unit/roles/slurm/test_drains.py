"""Which drains are ended: by their reason, who set it, and the state of the node."""

from typing import Any

import pytest

from tests.ansible_files import load

module = load("playbooks/library/slurm_drains.py")
LOW = "Low RealMemory (reported:15900 < 100.00% of configured:16000)"
REASONS = ["Low RealMemory", "platformctl: node remove"]


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (f"n1|drained|slurm|{LOW}", "drained"),
        (f"n1|inval|slurm(64030)|{LOW}", "inval"),
        ("n1|drained|root|platformctl: node remove", "drained"),
        (f"n1|drained|alice|{LOW}", None),  # somebody's own words
        ("n1|drained|root|bad disk | a part", None),
        ("n1|idle|Unknown|none", None),
    ],
)
def test_only_known_reasons_of_slurm_and_root_count(line: str, state: str | None) -> None:
    assert module.drained([line], REASONS, None) == ({"n1": state} if state else {})


def test_only_the_named_nodes_count() -> None:
    lines = [f"{name}|drained|slurm|{LOW}" for name in ("n1", "n2")]
    assert module.drained(lines, REASONS, ["n2"]) == {"n2": "drained"}


class Module:
    """An Ansible module on a controller whose nodes have these states, one after the other."""

    check_mode = False

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.params = {"reasons": REASONS, "nodes": None, "wait": 5}
        self.updates: list[list[str]] = []
        self.result: dict[str, Any] = {}

    def run_command(self, command: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        if command[0] == "scontrol":
            self.updates.append(command)
            return 0, "", ""
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return 0, f"n1|{state}|slurm|{LOW}\n", ""

    def exit_json(self, **result: Any) -> None:
        self.result = result


def run(monkeypatch: pytest.MonkeyPatch, *states: str) -> Module:
    stand_in = Module(*states)
    monkeypatch.setattr(module, "AnsibleModule", lambda **_: stand_in)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    clock = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    module.main()
    return stand_in


def test_a_node_that_registers_again_is_waited_for_and_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, "inval", "inval", "drained")
    assert done.updates == [["scontrol", "update", "nodename=n1", "state=resume"]]
    assert done.result == {"changed": True, "resumed": ["n1"], "left": []}


def test_a_node_that_is_still_too_small_stays_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, "inval")
    assert done.updates == []
    assert done.result == {"changed": False, "resumed": [], "left": ["n1"]}
