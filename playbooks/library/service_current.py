#!/usr/bin/python
"""Keep a systemd service running with what its files say now."""

DOCUMENTATION = r"""
module: service_current
short_description: Start a service, and restart or reload it when its files are newer than its process
description:
  - Compares the age of the service's main process with its files on the host, not with what this run has
    changed. So a run that was killed between writing a file and restarting the service is made good by the
    next one, which a handler cannot do.
options:
  name:
    description: Unit without the suffix .service.
    type: str
    required: true
  files:
    description: Files that the service reads when it starts. One that does not exist is passed over.
    type: list
    elements: path
    default: []
  reload_command:
    description: Command that makes a running service read its files again, instead of a restart.
    type: list
    elements: str
  listens:
    description:
      - TCP port that the service listens on by its files. A running service that does not is restarted.
      - For services that keep their old port when they read their files again.
    type: int
  port:
    description:
      - TCP port that must accept connections before the task ends.
      - For services that cannot say themselves when they are ready.
    type: int
  timeout:
    description: Seconds to wait for the port.
    type: int
    default: 60
author: [platformctl]
"""
EXAMPLES = r"""
- service_current:
    name: munge
    files: [/etc/munge/munge.key]
"""
RETURN = r"""
action:
  description: What was done (none, start, restart or reload), and the file that was newer than the process.
  type: str
  returned: always
"""

import os
import socket
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "MainPID",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
)


def show(module, name):
    """Return the unit's properties that matter here."""
    command = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", f"{name}.service"]
    _, output, _ = module.run_command(command, check_rc=True)
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def started(pid):
    """Return when a process started, in seconds of the wall clock as it goes now; 0 if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks_after_boot = int(fields[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks_after_boot / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def newer_file(files, moment):
    """Return the first file that was written after a moment, if any."""
    for name in files:
        path = Path(name)
        # A process start is known to a hundredth of a second only.
        if path.exists() and path.stat().st_mtime > moment + 0.02:
            return name
    return None


def listening(port):
    """Return whether anything listens on a TCP port, at whatever address."""
    tables = [Path("/proc/net") / name for name in ("tcp", "tcp6")]
    sockets = [
        line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]
    ]
    # 0A is the kernel's word for a socket that listens; ports are hexadecimal.
    return any(fields[3] == "0A" and fields[1].endswith(f":{port:04X}") for fields in sockets)


def decide(unit, files, reload_command, listens):
    """Return the action and its cause."""
    if unit["ActiveState"] not in ("active", "reloading", "activating"):
        return "start", "it does not run"
    moment = started(unit["MainPID"])
    own = newer_file([unit["FragmentPath"], *unit["DropInPaths"].split()], moment)
    if own:
        return "restart", own
    if listens and unit["ActiveState"] == "active" and not listening(listens):
        return "restart", f"it does not listen on port {listens}"
    cause = newer_file(files, moment)
    if cause:
        return ("reload" if reload_command else "restart"), cause
    return "none", ""


def wait_for_port(module, port, timeout):
    """Wait until the port accepts a connection."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    module.fail_json(msg=f"{module.params['name']} did not open port {port} within {timeout} s")


def carry_out(module, unit, action):
    """Run the commands of an action; on failure, give the service's last words."""
    name, parameters = module.params["name"], module.params
    if unit["UnitFileState"] != "enabled":
        module.run_command(["systemctl", "enable", f"{name}.service"], check_rc=True)
    if action == "none":
        return
    command = parameters["reload_command"] if action == "reload" else ["systemctl", action, f"{name}.service"]
    code, _, error = module.run_command(command)
    if code:
        _, journal, _ = module.run_command(["journalctl", "--unit", name, "--lines", "20", "--output", "cat"])
        module.fail_json(msg=f"{' '.join(command)} failed: {error.strip()}; last words of {name}:\n{journal}")
    if parameters["port"]:
        wait_for_port(module, parameters["port"], parameters["timeout"])


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "reload_command": {"type": "list", "elements": "str"},
            "listens": {"type": "int"},
            "port": {"type": "int"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    unit = show(module, module.params["name"])
    if not module.check_mode and (unit["NeedDaemonReload"] == "yes" or unit["LoadState"] == "not-found"):
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        unit = show(module, module.params["name"])
    action, cause = decide(unit, *(module.params[key] for key in ("files", "reload_command", "listens")))
    if not module.check_mode:
        carry_out(module, unit, action)
    changed = action != "none" or unit["UnitFileState"] != "enabled"
    module.exit_json(changed=changed, action=f"{action} {cause}".strip())


if __name__ == "__main__":
    main()
