#!/usr/bin/python
"""Make the user of a service, and remove only one that was made here."""

from __future__ import annotations

import pathlib

from ansible.module_utils.accounts.database import Database, Record
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: system_user
short_description: The user that a service runs as
description:
  - Makes a system user without a login, with a group of the same name. One that is there already is left as
    it is and is never removed.
options:
  name:
    description: Name of the user.
    type: str
    required: true
  state:
    description: Whether the user should exist.
    type: str
    choices: [present, absent]
    default: present
  record:
    description: Where the host keeps which users were made.
    type: path
    default: /var/lib/platformctl/before/accounts.json
author: [platformctl]
"""
EXAMPLES = r"""
- system_user:
    name: slurmrestd
"""
RETURN = r"""
kept:
  description: Whether a user stays because it was there before.
  type: bool
  returned: always
"""

_NO_HOME, _NO_SHELL = "/nonexistent", "/usr/sbin/nologin"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "record": {"type": "path", "default": "/var/lib/platformctl/before/accounts.json"},
        },
        supports_check_mode=True,
    )
    name, present = module.params["name"], module.params["state"] == "present"
    record, database = Record(pathlib.Path(module.params["record"])), Database()
    there = name in database.users or database.user_elsewhere(name) is not None
    made = name in record.system
    changed = not there if present else there and made
    if changed and not module.check_mode:
        if present:
            # Before the user is made: a run that is killed in between leaves nothing behind.
            record.system.append(name)
            record.write()
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", _NO_HOME]
            module.run_command([*command, "--shell", _NO_SHELL, name], check_rc=True)
        else:
            module.run_command(["userdel", name], check_rc=True)
            record.system.remove(name)
            record.write()
    module.exit_json(changed=changed, kept=not present and there and not made)


if __name__ == "__main__":
    main()
