#!/usr/bin/python
"""What a host had before platformctl: take it over, stop what is ours, give back what was there."""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.module_utils.takeover import giving, record, taking

DOCUMENTATION = """
module: host_before
short_description: Keep, take over and give back what was on a host before platformctl
description: Works on the record in /var/lib/platformctl/before.
options:
  state:
    description:
      - C(taken) records what is there, and takes over what the operator accepted. If there is more, nothing
        changes.
      - C(stopped) stops and disables C(services), but not those of others that are used beside them.
      - C(restored) brings back what was there, and forgets the host. C(forgotten) forgets it after that.
        C(known) only returns the record.
    choices: [taken, stopped, restored, forgotten, known]
    type: str
    required: true
  site:
    description: Name of the site that takes the host on.
    type: str
    default: ""
  claims:
    description: What the stages of this host use, as platformctl's engine says it.
    type: dict
    default: {}
  accepted:
    description: Names of what may be taken over.
    type: list
    elements: str
    default: []
  services:
    description: Units to stop.
    type: list
    elements: str
    default: []
  forget:
    description: With C(restored), whether the host forgets that it belonged to a site.
    type: bool
    default: true
author: platformctl
"""

EXAMPLES = """
- name: Stop munge
  host_before:
    state: stopped
    services: [munge.service]
"""

RETURN = """
done: {description: What was done, in words., type: list, elements: str, returned: always}
remarks: {description: What could not be given back, in words., type: list, elements: str, returned: always}
before: {description: What was judged and accepted on this host., type: dict, returned: always}
"""


def main() -> None:
    """Answer as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["taken", "stopped", "restored", "forgotten", "known"],
                "required": True,
            },
            "site": {"type": "str", "default": ""},
            "claims": {"type": "dict", "default": {}, "no_log": True},
            "accepted": {"type": "list", "elements": "str", "default": []},
            "services": {"type": "list", "elements": "str", "default": []},
            "forget": {"type": "bool", "default": True},
        }
    )
    params = module.params
    try:
        answer = act(params["state"], params)
    except (OSError, RuntimeError) as error:
        module.fail_json(msg=str(error))
    if answer["refused"]:
        module.fail_json(msg="; ".join(answer["refused"]))
    module.exit_json(changed=bool(answer["done"]), before=record.read(record.TAKEOVER), **answer)


def act(state: str, params: dict[str, Any]) -> dict[str, Any]:
    """Do it; the answer has `done`, `refused` and `remarks`."""
    answer: dict[str, Any] = {"done": [], "refused": [], "remarks": []}
    if state == "taken":
        answer.update(taking.take(params["site"], params["claims"], params["accepted"]))
    elif state == "stopped":
        answer["done"] = giving.stop(params["services"])
    elif state == "restored":
        given = giving.restore(bool(params.get("forget", True)))
        answer.update(done=given["done"], remarks=given["left"])
    elif state == "forgotten":
        giving.end()
    return answer


def answer_program(params: dict[str, Any]) -> None:
    """Answer as a program that platformctl sends: JSON on standard output."""
    try:
        answer = act(params["state"], params)
    except (OSError, RuntimeError) as error:
        answer = {"failed": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
