#!/usr/bin/python
"""Write a set of small files on a host and keep the services that read them running on them.

One task for a role's whole configuration: over ssh a task costs about half a second a host, whatever it does.
This is the one place that decides which service restarts. It does when one of its files is younger than its
process, and not merely when this run wrote one: a run that was killed between writing and restarting is made
good by the next, which a handler cannot do.
"""

from __future__ import annotations

import base64
import grp
import os
import pathlib
import pwd
import socket
import tempfile
import time
from collections.abc import Iterable
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
  port:
    description:
      - For a task with one service. TCP port that must accept connections after something was done.
      - For services that cannot say themselves when they are ready.
    type: int
  timeout:
    description: Seconds to wait for C(port).
    type: int
    default: 60
"""

EXAMPLES = """
- host_files:
    files:
      - {path: /etc/munge/munge.key, content: "{{ secret_munge_key }}", owner: munge, mode: "0400"}
    services: [munge.service]
"""

RETURN = """
written: {description: Paths that were written or removed., type: list, elements: str, returned: always}
services: {description: What was done to the services, and why., type: list, elements: str, returned: always}
"""

_OWNERSHIP = {
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}

_OF_ONE_SERVICE = ("reload_command", "listens", "port")
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "MainPID",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
    "ActiveEnterTimestampMonotonic",
)
# The start of a process is known to a hundredth of a second only.
_SLACK_SECONDS = 0.02


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
            "reload_command": {"type": "list", "elements": "str"},
            "listens": {"type": "int"},
            "port": {"type": "int"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if any(module.params[name] for name in _OF_ONE_SERVICE) and len(module.params["services"]) != 1:
        module.fail_json(msg=f"{', '.join(_OF_ONE_SERVICE)} are for a task with one service")
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
    """Enable, start, restart or reload a service as its files demand; say what was done, and why."""
    state = _show(module, unit)
    if not module.check_mode and (state["NeedDaemonReload"] == "yes" or state["LoadState"] == "not-found"):
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        state = _show(module, unit)
    verb, cause = _decide(module.params, state)
    verbs = [verb] if verb else []
    # Units without an [Install] section are static; one that is not there yet has no state.
    if state["UnitFileState"] in ("disabled", ""):
        verbs.insert(0, "enable")
    if verbs and not module.check_mode:
        _carry_out(module, unit, verbs)
        # A unit whose conditions do not hold yet stays inactive and is not an error.
        if verbs == ["start"] and _show(module, unit)["ActiveState"] == "inactive":
            return ""
    return f"{' and '.join(verbs)} {unit} {cause}".strip() if verbs else ""


def _decide(params: dict[str, Any], state: dict[str, str]) -> tuple[str, str]:
    """What is to be done to a service beside enabling it, and why; two empty words for nothing."""
    if state["ActiveState"] not in ("active", "reloading", "activating"):
        return "start", ""
    since = _since(state)
    # systemd writes those in /run anew whenever it is told to read its files again.
    own = [path for path in (state["FragmentPath"], *state["DropInPaths"].split()) if path[:5] != "/run/"]
    if younger := _younger(own, since):
        return "restart", f"for {younger}"
    active = state["ActiveState"] == "active"
    if active and params["listens"] and not _listening(params["listens"]):
        return "restart", f"as it does not listen on port {params['listens']}"
    if younger := _younger([*(item["path"] for item in params["files"]), *params["watch"]], since):
        return "reload" if params["reload_command"] and active else "restart", f"for {younger}"
    # Starting what is about to start waits until it has.
    return ("start", "") if state["ActiveState"] == "activating" else ("", "")


def _carry_out(module: AnsibleModule, unit: str, verbs: list[str]) -> None:
    if verbs != ["reload"]:
        # Whatever systemd says of this unit: another's file may be new, such as that of a timer's service.
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    for verb in verbs:
        reload = verb == "reload"
        _command(module, unit, module.params["reload_command"] if reload else ["systemctl", verb, unit])
    if module.params["port"]:
        _wait_for_port(module, unit)


def _command(module: AnsibleModule, unit: str, command: list[str]) -> None:
    code, _, error = module.run_command(command)
    if code:
        _, log, _ = module.run_command(
            ["journalctl", "--no-pager", "--lines=15", "--output=cat", "--unit", unit]
        )
        module.fail_json(msg=f"{' '.join(command)} failed: {error.strip()}\n{log.strip()}")


def _wait_for_port(module: AnsibleModule, unit: str) -> None:
    port, timeout = module.params["port"], module.params["timeout"]
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    module.fail_json(msg=f"{unit} did not open port {port} within {timeout} s")


def _show(module: AnsibleModule, unit: str) -> dict[str, str]:
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", unit]
    _, output, _ = module.run_command(command, check_rc=True)
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return dict.fromkeys(_PROPERTIES, "") | found


def _younger(names: Iterable[str], moment: float) -> str:
    """The first file that was written after a moment, if any."""
    paths = (pathlib.Path(name) for name in names if name)
    found = (path for path in paths if path.exists() and path.stat().st_mtime > moment + _SLACK_SECONDS)
    return str(next(found, ""))


def _since(state: dict[str, str]) -> float:
    """Since when a service runs as it is, in seconds since 1970 by the clock as it goes now.

    By its process, as a reload may have left a new one; by systemd's word where there is none. The wall clock
    may have been set since; files are dated by what it says now.
    """
    try:
        fields = pathlib.Path(f"/proc/{state['MainPID'] or 0}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.time() - (time.monotonic() - int(state["ActiveEnterTimestampMonotonic"] or 0) / 1e6)
    after_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - after_boot)


def _listening(port: int) -> bool:
    """Whether anything listens on a TCP port, at whatever address."""
    tables = [pathlib.Path("/proc/net") / name for name in ("tcp", "tcp6")]
    sockets = [
        line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]
    ]
    # 0A is the kernel's word for a socket that listens; ports are hexadecimal.
    return any(fields[3] == "0A" and fields[1].endswith(f":{port:04X}") for fields in sockets)


if __name__ == "__main__":
    main()
