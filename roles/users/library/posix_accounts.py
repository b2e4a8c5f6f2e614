#!/usr/bin/python
"""Bring all users and groups of a site into /etc/passwd and /etc/group in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: posix_accounts
short_description: Reconcile many users and groups at once
description:
  - Creates everything that is missing with a single call of C(systemd-sysusers), so that the cost hardly
    grows with the number of users. Only accounts that exist and differ are changed one by one.
  - Each user has a group of the same name whose gid is the uid. Passwords stay locked; home directories are
    not made.
  - Writes to a record which accounts and groups it made. What was there before is recorded as it was, before
    its first change; it is changed only if its name is accepted, and is never deleted.
  - Accounts and groups that it made are removed when they are no longer among the given ones. Accounts that
    were there before get their recorded state back.
options:
  groups:
    description: "Groups beside the users' own: name, gid and, optionally, state (present or absent)."
    type: list
    elements: dict
    required: true
  accounts:
    description:
      - "Users: name, uid and, optionally, full_name, shell, groups and state. A membership is taken away only
        if C(groups) names the group, or this module gave the membership."
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
  accepted:
    description: "What was there before and may be changed: account:NAME or group:NAME."
    type: list
    elements: str
    default: []
  operator:
    description: The user that Ansible logs in as. It loses no group and is never removed.
    type: str
    default: ""
  leaving:
    description: What happens to processes of users who leave. C(refuse) fails before anything is changed.
    type: str
    choices: [refuse, end]
    default: refuse
  disabled:
    description:
      - Users who may not log in. Their accounts expire, and their sessions end; their jobs of Slurm go on.
      - Users whom only a directory knows cannot be stopped on the host; a warning names them.
    type: list
    elements: str
    default: []
  reset:
    description: Remove everything that was made, whatever the given accounts and groups are.
    type: bool
    default: false
  record:
    description: Where the host keeps what was there before, and what was made.
    type: path
    default: /var/lib/platformctl/before/accounts.json
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

import contextlib
import os
import signal
import time

from ansible.module_utils.accounts import database
from ansible.module_utils.accounts.database import processes, sessions, shown
from ansible.module_utils.accounts.plan import AccountPlan
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.shared_home.homes import carry_keys

_GRACE_SECONDS = 5
# usermod and its relatives do not wait for each other.
_LOCKED_CODES = frozenset({1, 10})
_LOCK_SECONDS = 20


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "groups": {"type": "list", "elements": "dict", "required": True},
            "accounts": {"type": "list", "elements": "dict", "required": True},
            "home": {"type": "path", "required": True},
            "shell": {"type": "str", "default": "/bin/bash"},
            "accepted": {"type": "list", "elements": "str", "default": []},
            "operator": {"type": "str", "default": ""},
            "leaving": {"type": "str", "choices": ["refuse", "end"], "default": "refuse"},
            "disabled": {"type": "list", "elements": "str", "default": []},
            "reset": {"type": "bool", "default": False},
            "record": {"type": "path", "default": "/var/lib/platformctl/before/accounts.json"},
        },
        supports_check_mode=True,
    )
    plan = AccountPlan(module.params)
    busy = plan.busy()
    if not module.params["reset"]:
        refuse(module, plan, busy)
    # A reset goes on with all others, and says at its end who stays.
    kept = set(busy) if module.params["reset"] and module.params["leaving"] == "refuse" else set()
    first, last = [*plan.restorations(), *plan.removals(kept)], [*plan.commands(), *plan.expiries()]
    steps = [*map(" ".join, first), *plan.creation(), *map(" ".join, last)]
    if not module.check_mode:
        apply(module, plan, kept)
    if plan.outsiders:
        names = ", ".join(plan.outsiders)
        module.warn(f"{names}: the account comes from {', '.join(plan.database.sources)}; disable it there")
    diff = {"before": "", "after": "".join(f"{step}\n" for step in steps)}
    if kept:
        stays = "; ".join(f"{name} stays, because it runs {shown(busy[name])}" for name in sorted(kept))
        module.fail_json(msg=f"{stays}. End these processes, then reset again", changed=bool(steps))
    module.exit_json(changed=bool(steps), diff=diff)


def refuse(module: AnsibleModule, plan: AccountPlan, busy: dict[str, list[str]]) -> None:
    """Fail before anything is changed, with all that is in the way."""
    problems = plan.conflicts()
    problems += [
        f"{', '.join(words)}; to accept this, add {name} to `takeover` in the inventory"
        for name, words in plan.unaccepted().items()
    ]
    if module.params["leaving"] == "refuse":
        problems += [
            f"{name} leaves the site and still runs {shown(running)}; end that, or set users_leaving: end"
            for name, running in busy.items()
        ]
    if problems:
        module.fail_json(msg="; ".join(problems), conflicts=problems)


def apply(module: AnsibleModule, plan: AccountPlan, kept: set[str]) -> None:
    """Record what is there, then remove, create, change and restore."""
    plan.note()
    plan.record.write()
    for command in plan.restorations():
        run(module, command)
    removals = plan.removals(kept)
    going = [command[-1] for command in removals if command[0] == "userdel"]
    end([plan.database.users[name].pw_uid for name in going])
    for command in removals:
        run(module, command)
    creation = plan.creation()
    if creation:
        module.run_command(["systemd-sysusers", "-"], data="\n".join(creation) + "\n", check_rc=True)
    if plan.moved_operator:
        carry_keys(*plan.moved_operator)
    for command in [*plan.commands(), *plan.expiries()]:
        run(module, command)
    if plan.disabled:
        uids = [int(account["uid"]) for account in plan.accounts if account["name"] in plan.disabled]
        end(uids, only_sessions=True)
    for name in set(plan.record.expired) - plan.disabled:
        del plan.record.expired[name]
    gone = [name for name in plan.leaving if name not in kept]
    plan.record.forget(gone, [name for name in plan.leaving_groups if name not in kept])
    plan.record.write()


def run(module: AnsibleModule, command: list[str]) -> None:
    """Run a command, again while something else holds the lock of the files."""
    # usermod refuses a new home while the user has a process, and who is logged in always has one.
    if "--home" in command:
        place = command.index("--home")
        try:
            database.write_home(command[-1], command[place + 1])
        except OSError as error:
            module.fail_json(msg=f"the home of {command[-1]} cannot be changed: {error}")
        command = command[:place] + command[place + 2 :]
        if len(command) == 2:
            return
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        code, out, err = module.run_command(command)
        if code == 0:
            return
        if code not in _LOCKED_CODES or "lock" not in err or time.monotonic() > deadline:
            module.fail_json(msg=f"{' '.join(command)}: {(err or out).strip()}", rc=code)
        time.sleep(1)


def end(uids: list[int], only_sessions: bool = False) -> None:
    """End processes of these users: first with SIGTERM, after some seconds with SIGKILL.

    only_sessions: not those of jobs of Slurm.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline:
            if only_sessions:
                running = [pid for uid in uids for pid in sessions(uid)]
            else:
                found = processes(uids, idle=True)
                running = [int(words.split()[0]) for listed in found.values() for words in listed]
            if not running:
                return
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
