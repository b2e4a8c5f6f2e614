#!/usr/bin/python
"""Make the home directories of all users in one call."""

DOCUMENTATION = r"""
module: home_directories
short_description: Make home directories that are missing
description:
  - A new home gets the files of /etc/skel and belongs to its user. An existing one is left alone, except for
    the user's authorized_keys where ssh_keys are given.
  - An authorized_keys that this module has not written yet is kept beside the new one. The user that Ansible
    logs in as keeps all keys.
options:
  path:
    description: The folder that holds the home directories.
    type: path
    required: true
  mode:
    description: Mode of a new home directory.
    type: str
    default: "0700"
  accounts:
    description: "Users: name, uid and, optionally, ssh_keys and state. Homes of absent users stay."
    type: list
    elements: dict
    required: true
  operator:
    description: The user that Ansible logs in as.
    type: str
    default: ""
author: [platformctl]
"""
EXAMPLES = r"""
- home_directories:
    path: /home
    accounts: [{name: alice, uid: 10001}]
"""
RETURN = r"""
made:
  description: Home directories that were missing.
  type: list
  returned: always
"""

from functools import partial
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.shared_home.homes import as_user, make_home, write_keys


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0700"},
            "accounts": {"type": "list", "elements": "dict", "required": True},
            "operator": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    root, mode = Path(module.params["path"]), int(module.params["mode"], 8)
    made, keyed = [], []
    for account in module.params["accounts"]:
        if account.get("state", "present") == "absent":
            continue
        home, uid = root / account["name"], int(account["uid"])
        missing = not home.exists()
        if missing:
            made.append(str(home))
            if not module.check_mode:
                make_home(home, uid, mode)
        if not account.get("ssh_keys"):
            continue
        if missing and module.check_mode:
            keyed.append(str(home))
            continue
        keep = account["name"] == module.params["operator"]
        if as_user(uid, partial(write_keys, home, account["ssh_keys"], keep, module.check_mode)):
            keyed.append(str(home))
    steps = [f"make {home}\n" for home in made] + [f"write {home}/.ssh/authorized_keys\n" for home in keyed]
    module.exit_json(changed=bool(steps), made=made, diff={"before": "", "after": "".join(steps)})


if __name__ == "__main__":
    main()
