#!/usr/bin/python
"""Give the users of a site their Slurm accounts, default associations and limits."""

DOCUMENTATION = r"""
module: slurm_associations
short_description: Reconcile a cluster's accounts and users' default associations in slurmdbd
description:
  - Reads what slurmdbd has with one query and adds what is missing with one command an account, whatever the
    number of users.
  - Associations that somebody else has made are left alone. Users who got one here and are no longer among
    the accounts lose theirs; a record on the host names them.
options:
  cluster:
    description: Name of the cluster, registered if slurmdbd does not know it.
    type: str
    required: true
  accounts:
    description: "Users: name and, optionally, slurm_account and state (present or absent)."
    type: list
    elements: dict
    required: true
  default_account:
    description: Account of users that name none.
    type: str
    required: true
  disabled:
    description: Users who may submit nothing. The limit that they had is kept on the host, and comes back.
    type: list
    elements: str
    default: []
  kept_limits:
    description: Where the host keeps the limits of disabled users.
    type: path
    default: /var/lib/platformctl/before/submit_limits.json
  limits:
    description: "Limits of the quality of service normal by their name in sacctmgr; -1 for none."
    type: dict
    default: {}
  record:
    description: Where the host keeps the names of the users who got an association.
    type: path
    default: /var/lib/platformctl/before/associations.json
author: [platformctl]
"""
EXAMPLES = r"""
- slurm_associations:
    cluster: main
    default_account: users
    accounts: [{name: alice, slurm_account: physics}]
"""
RETURN = r"""
commands:
  description: The sacctmgr commands that were run, or would be in check mode.
  type: list
  returned: always
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_NOTHING, _NO_LIMIT = "0", "-1"
# The one that associations have by default.
_QOS = "normal"


def query(module: AnsibleModule, *words: str) -> list[list[str]]:
    """Return the rows that sacctmgr prints, split into fields."""
    command = ["sacctmgr", "--noheader", "--parsable2", "--readonly", *words]
    _, output, _ = module.run_command(command, check_rc=True)
    return [line.split("|") for line in output.splitlines()]


def by_account(users: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return {account: [user, ...]} from {user: account}, in order."""
    grouped: dict[str, list[str]] = {}
    for user, account in sorted(users.items()):
        grouped.setdefault(account, []).append(user)
    return sorted(grouped.items())


def commands(
    cluster: str, wanted: Mapping[str, str], removed: Iterable[str], have: Mapping[str, Any]
) -> list[list[str]]:
    """Return the sacctmgr commands between what slurmdbd has and what it should have.

    `wanted` is {user: default account}; `have` holds the names of clusters, the set of (account, user) of all
    associations (that of an account itself has no user), and the default account of each user.
    """
    here = f"cluster={cluster}"
    found = [] if cluster in have["clusters"] else [["add", "cluster", cluster]]
    accounts = sorted(set(wanted.values()) - {account for account, user in have["associations"] if not user})
    if accounts:
        found.append(["add", "account", ",".join(accounts), here])
    missing = {
        user: account for user, account in wanted.items() if (account, user) not in have["associations"]
    }
    for account, users in by_account(missing):
        found.append(
            ["add", "user", ",".join(users), f"account={account}", f"defaultaccount={account}", here]
        )
    defaults = have["defaults"]
    differing = {user: account for user, account in wanted.items() if defaults.get(user, account) != account}
    for account, users in by_account(differing):
        where = ["where", f"name={','.join(users)}", here]
        found.append(["modify", "user", *where, "set", f"defaultaccount={account}"])
    leaving = sorted({user for _, user in have["associations"]} & set(removed))
    if leaving:
        found.append(["delete", "user", "where", f"name={','.join(leaving)}", here])
    return found


def stopping(
    cluster: str, disabled: Iterable[str], have: Mapping[str, Mapping[str, str]], kept: Mapping[str, Any]
) -> tuple[list[list[str]], dict[str, dict[str, str]]]:
    """Return the commands that let disabled users submit nothing, and the limits to keep.

    have: by user and account, the most jobs that they may have submitted; empty without a limit. kept: the
    same of users who are disabled since earlier. Others of them get theirs back. The limit is GrpSubmitJobs,
    since a quality of service with MaxSubmitJobsPerUser overrides MaxSubmitJobs.
    """
    commands, keeping = [], {}
    for user in sorted({*disabled, *kept}):
        there, before = have.get(user, {}), kept.get(user, {})
        wanted = {account: _NOTHING if user in disabled else before.get(account) for account in there}
        for account, limit in sorted(wanted.items()):
            if limit is not None and limit != there[account]:
                where = [f"name={user}", f"account={account}", f"cluster={cluster}"]
                setting = f"grpsubmitjobs={limit or _NO_LIMIT}"
                commands.append(["modify", "user", "where", *where, "set", setting])
        if user in disabled:
            keeping[user] = {account: before.get(account, limit) for account, limit in there.items()}
    return commands, keeping


def limiting(wanted: Mapping[str, Any], have: Mapping[str, str]) -> list[list[str]]:
    """Return the sacctmgr command that sets the limits of the quality of service which differ; -1 is none."""
    differing = [
        f"{name}={value}"
        for name, value in sorted(wanted.items())
        if have.get(name, "") != ("" if str(value) == "-1" else str(value))
    ]
    return [["modify", "qos", "where", f"name={_QOS}", "set", *differing]] if differing else []


def write(record: Path, found: Any) -> None:
    """Keep a value, in a file that is whole at any time."""
    content = json.dumps(found, sort_keys=True) + "\n"
    if record.is_file() and record.read_text() == content:
        return
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = record.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.replace(record)


def run(module: AnsibleModule, commands: Iterable[list[str]]) -> None:
    """Run commands of sacctmgr."""
    for command in commands:
        module.run_command(["sacctmgr", "--immediate", "--quiet", *command], check_rc=True)


def limit_users(module: AnsibleModule, cluster: str, wanted: Mapping[str, str]) -> list[list[str]]:
    """Let disabled users submit nothing, and others what they could before; returns the commands."""
    path, disabled = Path(module.params["kept_limits"]), set(module.params["disabled"]) & set(wanted)
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if not disabled and not kept:
        return []
    have: dict[str, dict[str, str]] = {}
    for user, account, limit in query(
        module, "list", "associations", f"cluster={cluster}", "format=user,account,grpsubmitjobs"
    ):
        have.setdefault(user, {})[account] = limit
    commands, keeping = stopping(cluster, disabled, have, kept)
    if not module.check_mode:
        # Before the first command: a run that is broken off here has lost no limit.
        write(path, {**kept, **keeping})
        run(module, commands)
        write(path, keeping)
    return commands


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "accounts": {"type": "list", "elements": "dict", "required": True},
            "default_account": {"type": "str", "required": True},
            "limits": {"type": "dict", "default": {}},
            "record": {"type": "path", "default": "/var/lib/platformctl/before/associations.json"},
            "disabled": {"type": "list", "elements": "str", "default": []},
            "kept_limits": {"type": "path", "default": "/var/lib/platformctl/before/submit_limits.json"},
        },
        supports_check_mode=True,
    )
    cluster, default = module.params["cluster"], module.params["default_account"]
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for account in module.params["accounts"]:
        if account.get("state", "present") == "absent":
            removed.append(account["name"])
        else:
            wanted[account["name"]] = account.get("slurm_account") or default
    record = Path(module.params["record"])
    known = set(json.loads(record.read_text())) if record.is_file() else set()
    removed += sorted(known - set(wanted))
    here = f"cluster={cluster}"
    have = {
        "clusters": {row[0] for row in query(module, "list", "clusters", "format=cluster")},
        "associations": {
            tuple(row) for row in query(module, "list", "associations", here, "format=account,user")
        },
        "defaults": dict(query(module, "list", "users", "withassoc", here, "format=user,defaultaccount")),
    }
    found = commands(cluster, wanted, removed, have)
    limits = module.params["limits"]
    if limits:
        names = list(limits)
        rows = query(module, "list", "qos", f"name={_QOS}", f"format={','.join(names)}")
        found += limiting(limits, dict(zip(names, rows[0], strict=True)) if rows else {})
    if not module.check_mode:
        # Before the first command: who is in the record and has no association is no harm.
        write(record, sorted(known | set(wanted)))
        run(module, found)
        write(record, sorted(wanted))
    # After the associations that are new.
    found = [*found, *limit_users(module, cluster, wanted)]
    after = "".join(f"sacctmgr {' '.join(command)}\n" for command in found)
    module.exit_json(changed=bool(found), commands=found, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
