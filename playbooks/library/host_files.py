#!/usr/bin/python
"""Write a set of small files on a host and keep the services that read them running on them.

One task for a role's whole configuration: over ssh a task costs about half a second a host, whatever it does.
A service is restarted when one of the files is younger than its start, and not merely when this run wrote
one: a run that was killed between writing and restarting is made good by the next.
"""

from __future__ import annotations

import base64
import grp
import os
import pathlib
import pwd
import tempfile
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_files
short_description: Write files and keep the services that read them running on them
description: Writes each file whose content or mode differs, then starts or restarts the services if needed.
options:
  files:
    description:
      - Files with path, content, and optionally mode (octal text), owner and group.
      - Content that is no text comes in base64, said so by C(encoding).
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
    description: Paths of files that must not be there.
    type: list
    elements: str
    default: []
  services:
    description: Units to enable and to have running on the present files, in this order.
    type: list
    elements: str
    default: []
  watch:
    description: Further files that the services read.
    type: list
    elements: str
    default: []
"""

RETURN = """
written: {description: Paths that were written or removed., type: list, elements: str, returned: always}
services: {description: What was done to the services., type: list, elements: str, returned: always}
"""

_OWNERSHIP = {
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}


class _Module(AnsibleModule):
    """A module whose arguments stay out of the host's log: no_log hides only values of one line there."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def main() -> None:
    """Entry point of the module."""
    module = _Module(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True, "no_log": True},
                    "encoding": {"type": "str", "choices": ["text", "base64"], "default": "text"},
                    **_OWNERSHIP,
                },
            },
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "str", "required": True}, **_OWNERSHIP},
            },
            "owned": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "str", "required": True}, **_OWNERSHIP},
            },
            "absent": {"type": "list", "elements": "str", "default": []},
            "services": {"type": "list", "elements": "str", "default": []},
            "watch": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        written = _write_all(module)
        services = [done for unit in module.params["services"] if (done := _keep_running(module, unit))]
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    diff = {"prepared": "".join(f"{line}\n" for line in written + services)}
    module.exit_json(changed=bool(written or services), written=written, services=services, diff=diff)


def _write_all(module: AnsibleModule) -> list[str]:
    params = module.params
    written = [item["path"] for item in params["directories"] if _make_directory(item, module.check_mode)]
    written += [item["path"] for item in params["files"] if _write(item, module.check_mode)]
    for item in params["owned"]:
        path = pathlib.Path(item["path"])
        if path.exists() and _own(path, item, "0644", module.check_mode):
            written.append(item["path"])
    for path in params["absent"]:
        if os.path.lexists(path):
            written.append(path)
            if not module.check_mode:
                pathlib.Path(path).unlink()
    return written


def _make_directory(item: dict[str, Any], check_mode: bool) -> bool:
    path = pathlib.Path(item["path"])
    missing = not path.is_dir()
    if missing:
        if check_mode:
            return True
        path.mkdir(parents=True)
    return _own(path, item, "0755", check_mode) or missing


def _write(item: dict[str, Any], check_mode: bool) -> bool:
    path = pathlib.Path(item["path"])
    content = item["content"].encode()
    if item["encoding"] == "base64":
        content = base64.b64decode(content)
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return _own(path, item, "0644", check_mode)
    if check_mode:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".platformctl-")
    temporary = pathlib.Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _own(temporary, item, "0644", check_mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    return True


def _own(path: pathlib.Path, item: dict[str, Any], default_mode: str, check_mode: bool) -> bool:
    """Set mode and owner; say whether they differed."""
    mode = int(item["mode"] or default_mode, 8)
    uid, gid = pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid
    found = path.stat()
    if (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, uid, gid):
        return False
    if not check_mode:
        os.chown(path, uid, gid)
        path.chmod(mode)
    return True


def _keep_running(module: AnsibleModule, unit: str) -> str:
    """Enable, start or restart a service as its files demand; say what was done."""
    state = _show(module, unit)
    verbs = []
    # Units without an [Install] section are static; one that is not there yet has no state.
    if state["UnitFileState"] in ("disabled", ""):
        verbs.append("enable")
    if state["ActiveState"] not in ("active", "reloading"):
        verbs.append("start")
    elif _newest(module) > _since_epoch(state["ActiveEnterTimestampMonotonic"]):
        verbs.append("restart")
    if verbs and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        for verb in verbs:
            _systemctl(module, verb, unit)
        # A unit whose conditions do not hold yet stays inactive and is not an error.
        if verbs == ["start"] and _show(module, unit)["ActiveState"] == "inactive":
            return ""
    return f"{' and '.join(verbs)} {unit}" if verbs else ""


def _systemctl(module: AnsibleModule, verb: str, unit: str) -> None:
    code, _, error = module.run_command(["systemctl", verb, unit])
    if code:
        _, log, _ = module.run_command(
            ["journalctl", "--no-pager", "--lines=15", "--output=cat", "--unit", unit]
        )
        module.fail_json(msg=f"systemctl {verb} {unit} failed: {error.strip()}\n{log.strip()}")


def _show(module: AnsibleModule, unit: str) -> dict[str, str]:
    names = "ActiveState,UnitFileState,ActiveEnterTimestampMonotonic"
    command = ["systemctl", "show", f"--property={names}", unit]
    _, output, _ = module.run_command(command, check_rc=True)
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def _newest(module: AnsibleModule) -> float:
    names = [item["path"] for item in module.params["files"]] + module.params["watch"]
    paths = [pathlib.Path(name) for name in names]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _since_epoch(microseconds: str) -> float:
    """Seconds since 1970 of systemd's time since boot, by the clock as it goes now.

    The wall clock may have been set since the service started; files are dated by what it says now.
    """
    return time.time() - (time.monotonic() - int(microseconds) / 1e6)


if __name__ == "__main__":
    main()
