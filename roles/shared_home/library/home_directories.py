#!/usr/bin/python
"""Make the home directories of all users in one call."""

DOCUMENTATION = r"""
module: home_directories
short_description: Make home directories that are missing
description:
  - A new home gets the files of /etc/skel and belongs to its user. An existing one is left alone, except for
    the user's authorized_keys where ssh_keys are given.
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

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

SKELETON = Path("/etc/skel")


def make_home(home: Path, uid: int, mode: int) -> None:
    """Make a home beside its place and move it there, so that a half made one is never taken for a home."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    if SKELETON.is_dir():
        shutil.copytree(SKELETON, temporary, symlinks=True, dirs_exist_ok=True)
    for entry in (temporary, *temporary.rglob("*")):
        os.lchown(entry, uid, uid)
    temporary.chmod(mode)
    temporary.rename(home)


def as_user(uid: int, action: Callable[[], bool]) -> bool:
    """Run the action with the user's rights: in a home, root must not follow links that the user has laid."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        return action()
    finally:
        os.seteuid(0)
        os.setegid(0)


def write_keys(home: Path, keys: Iterable[str], check_mode: bool) -> bool:
    """Return whether authorized_keys differed from the keys; write it unless in check mode."""
    path, content = home / ".ssh" / "authorized_keys", "".join(f"{key.strip()}\n" for key in keys)
    if path.is_file() and path.read_text() == content:
        return False
    if not check_mode:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0700"},
            "accounts": {"type": "list", "elements": "dict", "required": True},
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
        if as_user(uid, partial(write_keys, home, account["ssh_keys"], module.check_mode)):
            keyed.append(str(home))
    steps = [f"make {home}\n" for home in made] + [f"write {home}/.ssh/authorized_keys\n" for home in keyed]
    module.exit_json(changed=bool(steps), made=made, diff={"before": "", "after": "".join(steps)})


if __name__ == "__main__":
    main()
