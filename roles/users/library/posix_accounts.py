#!/usr/bin/python
"""Bring all users and groups of a site into /etc/passwd and /etc/group in one call."""

DOCUMENTATION = r"""
module: posix_accounts
short_description: Reconcile many users and groups at once
description:
  - Creates everything that is missing with a single call of C(systemd-sysusers), so that the cost hardly
    grows with the number of users. Only accounts that exist and differ are changed one by one.
  - Each user has a group of the same name whose gid is the uid. Accounts not named are never touched.
  - Passwords stay locked; home directories are not made.
options:
  groups:
    description: "Groups beside the users' own: name, gid and, optionally, state (present or absent)."
    type: list
    elements: dict
    required: true
  accounts:
    description:
      - "Users: name, uid and, optionally, full_name, shell, groups (supplementary, exactly these) and state."
    type: list
    elements: dict
    required: true
  home:
    description: The folder that holds the home directories.
    type: path
    required: true
  shell:
    description: Login shell of users that name none.
    type: str
    default: /bin/bash
author: [platformctl]
"""
EXAMPLES = r"""
- posix_accounts:
    home: /home
    groups: [{name: physics, gid: 20001}]
    accounts: [{name: alice, uid: 10001, full_name: Alice Example, groups: [physics]}]
"""
RETURN = r"""
conflicts:
  description: Why nothing was done, one sentence each.
  type: list
  returned: failure
"""

import grp
import pwd
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def split(entries: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the entries to have and the names to remove."""
    present = [entry for entry in entries if entry.get("state", "present") == "present"]
    return present, [entry["name"] for entry in entries if entry.get("state", "present") == "absent"]


class Accounts:
    """What the host has, what it should have, and the commands that lie between."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.home, self.shell = params["home"].rstrip("/"), params["shell"]
        self.accounts, self.removed_accounts = split(params["accounts"])
        groups, self.removed_groups = split(params["groups"])
        own = [{"name": account["name"], "gid": account["uid"]} for account in self.accounts]
        self.groups = {group["name"]: int(group["gid"]) for group in [*groups, *own]}
        self.passwd = {entry.pw_name: entry for entry in pwd.getpwall()}
        self.group = {entry.gr_name: entry for entry in grp.getgrall()}

    def conflicts(self) -> list[str]:
        """Numbers that somebody else has, and groups that nobody defines: said, never solved by guessing."""
        uids = {entry.pw_uid: name for name, entry in self.passwd.items()}
        gids = {entry.gr_gid: name for name, entry in self.group.items()}
        found = []
        for account in self.accounts:
            holder = uids.get(int(account["uid"]))
            if holder not in (None, account["name"], *self.removed_accounts):
                found.append(f"uid {account['uid']} of {account['name']} belongs to {holder} on this host")
            found += [
                f"{account['name']} is in group {group}, which does not exist"
                for group in account.get("groups", [])
                if group not in self.groups and group not in self.group
            ]
        for name, gid in self.groups.items():
            holder = gids.get(gid)
            if holder not in (None, name, *self.removed_groups, *self.removed_accounts):
                found.append(f"gid {gid} of {name} belongs to {holder} on this host")
        return found

    def wanted(self, account: Mapping[str, Any]) -> tuple[int, int, str, str, str]:
        """Return the passwd fields of an account: uid, gid, gecos, home, shell."""
        name, uid = account["name"], int(account["uid"])
        return uid, uid, account.get("full_name", ""), f"{self.home}/{name}", account.get("shell", self.shell)

    def creation(self) -> list[str]:
        """Return lines of sysusers.d(5) for all groups, users and memberships that are missing."""
        lines = [f"g {name} {gid}" for name, gid in self.groups.items() if name not in self.group]
        for account in self.accounts:
            uid, _, gecos, home, shell = self.wanted(account)
            if account["name"] not in self.passwd:
                lines.append(f'u {account["name"]} {uid}:{uid} "{gecos}" {home} {shell}')
            lines += [f"m {account['name']} {group}" for group in self.missing_groups(account)]
        return lines

    def memberships(self, name: str) -> set[str]:
        """Return the supplementary groups that the host gives a user."""
        return {group for group, entry in self.group.items() if name in entry.gr_mem and group != name}

    def missing_groups(self, account: Mapping[str, Any]) -> list[str]:
        """Return the groups that a user should be in and is not."""
        return sorted(set(account.get("groups", [])) - self.memberships(account["name"]) - {account["name"]})

    def changes(self) -> list[list[str]]:
        """Return the commands that change groups and users which exist and differ."""
        commands = [
            ["groupmod", "--gid", str(gid), name]
            for name, gid in self.groups.items()
            if name in self.group and self.group[name].gr_gid != gid
        ]
        for account in self.accounts:
            name = account["name"]
            if name not in self.passwd:
                continue
            have = self.passwd[name]
            options: list[str] = []
            fields = ("--uid", "--gid", "--comment", "--home", "--shell")
            current = (have.pw_uid, have.pw_gid, have.pw_gecos, have.pw_dir, have.pw_shell)
            for field, is_now, should_be in zip(fields, current, self.wanted(account), strict=True):
                if is_now != should_be:
                    options += [field, str(should_be)]
            if self.memberships(name) - set(account.get("groups", [])):
                options += ["--groups", ",".join(sorted(account.get("groups", [])))]
            if options:
                commands.append(["usermod", *options, name])
        return commands

    def removals(self) -> list[list[str]]:
        """Return the commands that remove users and groups; files of the users stay."""
        users = [["userdel", name] for name in self.removed_accounts if name in self.passwd]
        # userdel takes the user's own group along.
        return users + [["groupdel", name] for name in self.removed_groups if name in self.group]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "groups": {"type": "list", "elements": "dict", "required": True},
            "accounts": {"type": "list", "elements": "dict", "required": True},
            "home": {"type": "path", "required": True},
            "shell": {"type": "str", "default": "/bin/bash"},
        },
        supports_check_mode=True,
    )
    accounts = Accounts(module.params)
    conflicts = accounts.conflicts()
    if conflicts:
        module.fail_json(msg="; ".join(conflicts), conflicts=conflicts)
    creation, removals, changes = accounts.creation(), accounts.removals(), accounts.changes()
    steps = (
        [" ".join(command) for command in removals] + creation + [" ".join(command) for command in changes]
    )
    if not module.check_mode:
        for command in removals:
            module.run_command(command, check_rc=True)
        if creation:
            module.run_command(["systemd-sysusers", "-"], data="\n".join(creation) + "\n", check_rc=True)
        for command in changes:
            module.run_command(command, check_rc=True)
    module.exit_json(
        changed=bool(steps), diff={"before": "", "after": "".join(f"{step}\n" for step in steps)}
    )


if __name__ == "__main__":
    main()
