#!/usr/bin/python
"""Put nodes back into service whose drain has lost its cause.

Slurm drains a node that has less than slurm.conf says, and leaves it drained when that is corrected. Only
drains with a known reason are ended, and only those of Slurm itself or of root: what somebody else drained
stays drained.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: slurm_drains
short_description: Put nodes back into service whose drain has lost its cause
description:
  - Ends drains whose reason begins with one of the given texts, on nodes that are registered and valid again.
  - To run on a controller. It does nothing if slurmctld does not answer.
options:
  reasons:
    description: Beginnings of reasons.
    type: list
    elements: str
    required: true
  nodes:
    description: Only these nodes; all if not given.
    type: list
    elements: str
  wait:
    description: Seconds to wait for nodes that have not yet registered again with what slurm.conf says now.
    type: int
    default: 15
author: [platformctl]
"""
EXAMPLES = """
- slurm_drains:
    reasons: [Low RealMemory]
"""
RETURN = """
resumed: {description: Nodes that are in service again., type: list, elements: str, returned: always}
left: {description: Nodes whose drain still has its cause., type: list, elements: str, returned: always}
"""

# Node, state, user who set the reason, reason.
_FORMAT = "%N|%T|%u|%E"
_SETTERS = ("slurm", "root")


def drained(lines: Iterable[str], reasons: list[str], nodes: list[str] | None) -> dict[str, str]:
    """State by node, of the nodes with such a reason. lines: as sinfo prints them in _FORMAT."""
    found = {}
    for line in lines:
        name, state, user, reason = line.split("|", 3)
        if (
            user.split("(")[0] in _SETTERS
            and reason.startswith(tuple(reasons))
            and (nodes is None or name in nodes)
        ):
            found[name] = state
    return found


def is_good(state: str) -> bool:
    """Whether the node is drained and nothing else: registered, valid, and it answers."""
    return state in ("drained", "draining")


def read(module: AnsibleModule) -> dict[str, str]:
    """The nodes in question as slurmctld has them now."""
    command = ["sinfo", "--noheader", "--Node", f"--format={_FORMAT}"]
    code, output, _ = module.run_command(command)
    lines = output.splitlines() if code == 0 else []
    return drained(lines, module.params["reasons"], module.params["nodes"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "reasons": {"type": "list", "elements": "str", "required": True},
            "nodes": {"type": "list", "elements": "str"},
            "wait": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    end = time.monotonic() + module.params["wait"]
    states = read(module)
    while not all(map(is_good, states.values())) and time.monotonic() < end and not module.check_mode:
        time.sleep(1)
        states = read(module)
    good = sorted(name for name, state in states.items() if is_good(state))
    if good and not module.check_mode:
        command = ["scontrol", "update", f"nodename={','.join(good)}", "state=resume"]
        module.run_command(command, check_rc=True)
    module.exit_json(changed=bool(good), resumed=good, left=sorted(set(states) - set(good)))


if __name__ == "__main__":
    main()
