"""A host for the module that writes files: a folder, and a systemctl that only remembers."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests import ansible_files

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
[ "$1" != show ] || cat {state}
"""
JOURNALCTL = """#!/bin/sh
echo the last words of the service
"""


class Host:
    """A folder with a systemctl of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.state = folder, folder / "log", folder / "state"
        (folder / "bin").mkdir()
        self.program("systemctl", SYSTEMCTL.format(log=self.log, state=self.state))
        self.program("journalctl", JOURNALCTL)
        self.service("active", "enabled", age=60)

    def program(self, name: str, text: str) -> str:
        """A program of the host; its path."""
        script = self.folder / "bin" / name
        script.write_text(text)
        script.chmod(0o755)
        return str(script)

    @property
    def remembered(self) -> Path:
        """The folder of what the host remembers."""
        return self.folder / "state-of-host"

    def service(self, active: str, enabled: str, age: float = 0, wall: str = "", **others: object) -> None:
        """State of the unit that has run for `age` seconds, and started when the wall clock said `wall`."""
        started = int((time.monotonic() - age) * 1e6)
        state = {
            "LoadState": "loaded",
            "ActiveState": active,
            "UnitFileState": enabled,
            "NeedDaemonReload": "no",
            "FragmentPath": "/x",
            "DropInPaths": "",
            "ActiveEnterTimestamp": wall,
            "ActiveEnterTimestampMonotonic": started,
            **others,
        }
        self.state.write_text("".join(f"{name}={value}\n" for name, value in state.items()))

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Result of the module; what it asked of systemctl beside `show` is under `asked`."""
        self.log.write_text("")
        arguments |= {"_ansible_check_mode": check}
        done = subprocess.run(
            ansible_files.module_command("playbooks/library/host_files.py"),
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env=os.environ
            | {
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "PLATFORMCTL_STATE_FOLDER": str(self.remembered),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        result["asked"] = [line for line in self.log.read_text().splitlines() if not line.startswith("show")]
        return result

    def file(self, **values: str) -> dict[str, str]:
        return {"path": str(self.folder / "etc/x.conf"), "content": "a = 1\n", **values}

    def dated(self, name: str, seconds: float) -> str:
        """Path of a file that was written `seconds` from now."""
        path = self.folder / name
        path.write_text("")
        moment = time.time() + seconds
        os.utime(path, (moment, moment))
        return str(path)
