#!/usr/bin/python
"""Write a set of small files on a host and keep the services that read them running on them.

One task for a role's whole configuration: over ssh a task costs about half a second a host, whatever it does.
New files are tried by the program that will read them before they are in place; what was in place before
platformctl came is kept; and the services must be healthy with them, or the last good files return.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_files import before, files, known, proof, trial
from ansible.module_utils.host_files.files import RefusedError
from ansible.module_utils.host_files.last_good import LastGood
from ansible.module_utils.host_files.services import Service, UnwellError

DOCUMENTATION = """
module: host_files
short_description: Write files and keep the services that read them running on them
description:
  - Writes each file whose content or mode differs, then starts or restarts the services if needed.
  - All files of a task are tried before any is in place, so a mistake in one of them changes nothing.
  - A file that was in place and is not platformctl's is kept in C(/var/lib/platformctl/before/files).
options:
  files:
    description:
      - Files with path, content, and optionally mode (octal text), owner and group.
      - Content that is no text comes in base64, said so by C(encoding).
      - C(variables) names the inventory's variables that the content comes from, for messages.
    type: list
    elements: dict
    default: []
  directories:
    description: Folders to have, with path and optionally mode, owner and group.
    type: list
    elements: dict
    default: []
  owned:
    description: Files that something else writes, with path and optionally mode, owner and group.
    type: list
    elements: dict
    default: []
  absent:
    description:
      - Paths that platformctl's files must not be at. What was there before returns; what is not ours stays.
      - Of a folder all goes that is ours, and the folder itself once nothing else is in it.
    type: list
    elements: str
    default: []
  checks:
    description:
      - Programs that try the new files below /etc before these are in place. They find them at their paths.
      - C(program) is the name for messages, C(command) what is run. C(mistakes) is a pattern of the lines
        that say what is wrong; without it the exit status says it. C(paths) are the files that it reads,
        if not all.
      - Files that programs of every host read, such as units of systemd, need none.
    type: list
    elements: dict
    default: []
  services:
    description:
      - Units to enable and to have running on the present files, in this order.
      - Their own unit files count too.
      - A unit without a process, such as a timer, is as old as the moment at which it became active.
    type: list
    elements: str
    default: []
  watch:
    description: Further files that the services read. One that does not exist is passed over.
    type: list
    elements: str
    default: []
  reload_command:
    description:
      - For a task with one service. Makes it read its files again, instead of a restart.
      - It must leave a new process; a younger unit file restarts the service all the same.
    type: list
    elements: str
  listens:
    description:
      - For a task with one service. TCP port that it listens on by its files. It is restarted if it does not.
      - For services that keep their old port when they read their files again.
    type: int
  healthy:
    description:
      - For a task with one service. What must hold C(within) seconds after something was done.
      - C(command) succeeds, C(url) is served, C(socket) or TCP C(port) accepts connections, and the service's
        process is the same for C(steady) seconds.
      - If it does not, the last files with which it did return, and the task fails.
    type: dict
  apply:
    description:
      - For a task without services. A command that takes the files over and fails if they do not work.
      - It runs when the files are not those with which it last succeeded. What it says is what it changed.
    type: list
    elements: str
"""

EXAMPLES = """
- host_files:
    files:
      - {path: /etc/munge/munge.key, content: "{{ secret_munge_key }}", owner: munge, mode: "0400"}
    services: [munge.service]
    healthy: {command: [sh, -c, "munge -n | unmunge"]}
"""

RETURN = """
written: {description: Paths that were written or removed., type: list, elements: str, returned: always}
kept: {description: Files that were there before and were kept., type: list, elements: str, returned: always}
remarks: {description: Which files others had changed, in words., type: list, elements: str, returned: always}
services: {description: What was done to the services, and why., type: list, elements: str, returned: always}
"""

_OWNERSHIP = {
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
_OWNED = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {"path": {"type": "str", "required": True}, **_OWNERSHIP},
}
_TEXTS = {"type": "list", "elements": "str", "default": []}
_ARGUMENTS: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "content": {"type": "str", "required": True, "no_log": True},
            "encoding": {"type": "str", "choices": ["text", "base64"], "default": "text"},
            "variables": _TEXTS,
            **_OWNERSHIP,
        },
    },
    "directories": _OWNED,
    "owned": _OWNED,
    "absent": _TEXTS,
    "checks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "program": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "mistakes": {"type": "str", "default": ""},
            "paths": _TEXTS,
        },
    },
    "services": _TEXTS,
    "watch": _TEXTS,
    "reload_command": {"type": "list", "elements": "str", "default": []},
    "listens": {"type": "int"},
    "healthy": {
        "type": "dict",
        "options": {
            "command": _TEXTS,
            "url": {"type": "str"},
            "socket": {"type": "str"},
            "port": {"type": "int"},
            "steady": {"type": "int", "default": 0},
            "within": {"type": "int", "default": 60},
        },
    },
    "apply": _TEXTS,
}
_OF_ONE_SERVICE = ("reload_command", "listens", "healthy")


class _Module(AnsibleModule):
    """A module whose arguments stay out of the host's log: no_log hides only values of one line there."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def main() -> None:
    """Entry point of the module."""
    module = _Module(argument_spec=_ARGUMENTS, supports_check_mode=True)
    if any(module.params[name] for name in _OF_ONE_SERVICE) and len(module.params["services"]) != 1:
        module.fail_json(msg=f"{', '.join(_OF_ONE_SERVICE)} are for a task with one service")
    try:
        result = _bring_about(module.params, module.check_mode)
    except (RefusedError, UnwellError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=files.words(error))
    told = [*result["written"], *result["services"]]
    diff = {"prepared": "".join(f"{line}\n" for line in told)}
    module.exit_json(changed=bool(told), diff=diff, **result)


def _bring_about(params: dict[str, Any], check_mode: bool) -> dict[str, list[str]]:
    takeover = _takeover(params)
    wanted = files.wanted(params["files"])
    differing = [file for file in wanted if file.differs()]
    drifted = before.changed_by_others(file.path for file in differing)
    remarks = [f"{path} was changed by somebody else, and is as the inventory says again" for path in drifted]
    files.refuse_obstacles(differing)
    written = [item["path"] for item in params["directories"] if _make_directory(item, check_mode)]
    kept: list[str] = []
    if differing and not check_mode:
        kept = _write(differing, _checks(params["checks"], differing), takeover)
    written += [str(file.path) for file in differing]
    written += [str(file.path) for file in wanted if file not in differing and _own(file, check_mode)]
    written += _owned(params["owned"], check_mode)
    if not check_mode:
        before.record({str(file.path): files.digest(file.path) for file in wanted})
    written += [path for path in params["absent"] if before.restore(pathlib.Path(path), check_mode)]
    services = takeover.carry_out(check_mode, bool(differing)) if takeover else []
    return {"written": written, "kept": kept, "remarks": remarks, "services": services}


def _takeover(params: dict[str, Any]) -> proof.Takeover | None:
    """Who reads the files; nobody, or somebody who reads them by himself, is none."""
    if not params["services"] and not params["apply"]:
        return None
    paths = [*(item["path"] for item in params["files"]), *params["watch"]]
    services = [
        Service(unit, paths, params["reload_command"], params["listens"], params["healthy"] or {})
        for unit in params["services"]
    ]
    name = "+".join(params["services"]) or pathlib.Path(params["apply"][0]).name
    return proof.Takeover(LastGood(name, paths), services, params["apply"])


def _checks(items: list[dict[str, Any]], differing: list[files.Wanted]) -> list[known.Check]:
    """The checks of the files that are to be written: the role's, and those of every host's programs."""
    paths = [file.path for file in differing]
    given = [known.Check(**item) for item in items]
    return [check for check in given if any(map(check.concerns, paths))] + list(known.checks(paths))


def _write(
    differing: list[files.Wanted], checks: list[known.Check], takeover: proof.Takeover | None
) -> list[str]:
    """Try the files and move them into place; say which files of others were kept."""
    with files.staged(differing):
        trial.refuse_mistakes(differing, checks)
        if takeover:
            takeover.remember()
        kept = before.keep(file.path for file in differing)
        files.move(differing)
    return list(kept)


def _make_directory(item: dict[str, Any], check_mode: bool) -> bool:
    path = pathlib.Path(item["path"])
    missing = not path.is_dir()
    if missing:
        if os.path.lexists(path):
            raise RefusedError(f"{path} is no folder, and a folder is to be there; move it away")
        if check_mode:
            return True
        path.mkdir(parents=True)
    return bool(files.own(path, *files.ownership(item, "0755"), check_mode)) or missing


def _own(file: files.Wanted, check_mode: bool) -> bool:
    return bool(files.own(file.path, file.mode, file.uid, file.gid, check_mode))


def _owned(items: list[dict[str, Any]], check_mode: bool) -> list[str]:
    there = [item for item in items if pathlib.Path(item["path"]).exists()]
    changed = [
        item["path"]
        for item in there
        if files.own(pathlib.Path(item["path"]), *files.ownership(item, "0644"), check_mode)
    ]
    if there and not check_mode:
        before.record({item["path"]: "" for item in there})
    return changed


if __name__ == "__main__":
    main()
