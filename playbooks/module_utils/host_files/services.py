"""Keep a systemd unit running on the present files.

This is the one place that decides which service restarts. It does when one of its files is younger than its
process, and not merely when this run wrote one: a run that was killed between writing and restarting is made
good by the next, which a handler cannot do.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.host_files import health

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
_RUNNING = ("active", "reloading", "activating")
# The start of a process is known to a hundredth of a second only.
_SLACK_SECONDS = 0.02


class UnwellError(Exception):
    """A service does not come up, or is not healthy; in words."""


@dataclass(frozen=True)
class Service:
    """A unit, and how it is brought to read its files again.

    paths: the files that it reads. listens: the port that it must listen on by its files. healthy: see
    health.py.
    """

    unit: str
    paths: Sequence[str]
    reload_command: Sequence[str] = ()
    listens: int | None = None
    healthy: dict[str, Any] = field(default_factory=dict)

    def keep_running(self, check_mode: bool, anew: bool = False) -> str:
        """Enable, start, restart or reload it as its files demand; say what was done, and why.

        anew: its files were replaced by older ones, so whatever it runs with is not what it shall run with.
        """
        state = self._show()
        if not check_mode and (state["NeedDaemonReload"] == "yes" or state["LoadState"] == "not-found"):
            _systemctl("daemon-reload")
            state = self._show()
        verb, cause = ("restart", "") if anew else self._decide(state)
        verbs = [verb] if verb else []
        # Units without an [Install] section are static; one that is not there yet has no state.
        if state["UnitFileState"] in ("disabled", ""):
            verbs.insert(0, "enable")
        if verbs and not check_mode:
            self._carry_out(verbs)
            # A unit whose conditions do not hold yet stays inactive and is not an error.
            if verbs == ["start"] and self.is_idle():
                return ""
        return f"{' and '.join(verbs)} {self.unit} {cause}".strip() if verbs else ""

    def is_idle(self) -> bool:
        """Whether it neither runs nor tries to: its conditions do not hold yet, or its work is done."""
        return self._show()["ActiveState"] == "inactive"

    def is_well(self) -> bool:
        """Whether it runs and is healthy now."""
        return self._show()["ActiveState"] == "active" and health.is_well(self.healthy)

    def wait_until_healthy(self) -> None:
        """Wait until it is healthy."""
        if self.healthy and (problem := health.wait(self.healthy, lambda: self._show()["MainPID"])):
            within = f"{self.unit} is not healthy after {self.healthy['within']} s: {problem}"
            raise UnwellError(f"{within}\n{self._last_words()}".strip())

    def _decide(self, state: dict[str, str]) -> tuple[str, str]:
        """What is to be done beside enabling it, and why; two empty words for nothing."""
        if state["ActiveState"] not in _RUNNING:
            return "start", ""
        since = _since(state)
        # systemd writes those in /run anew whenever it is told to read its files again.
        own = [path for path in (state["FragmentPath"], *state["DropInPaths"].split()) if path[:5] != "/run/"]
        if younger := _younger(own, since):
            return "restart", f"for {younger}"
        active = state["ActiveState"] == "active"
        if active and self.listens and not _listening(self.listens):
            return "restart", f"as it does not listen on port {self.listens}"
        if younger := _younger(self.paths, since):
            return "reload" if self.reload_command and active else "restart", f"for {younger}"
        # Starting what is about to start waits until it has.
        return ("start", "") if state["ActiveState"] == "activating" else ("", "")

    def _carry_out(self, verbs: Sequence[str]) -> None:
        if verbs != ["reload"]:
            # Whatever systemd says of this unit: another's file may be new, such as a timer's service.
            _systemctl("daemon-reload")
        for verb in verbs:
            command = self.reload_command if verb == "reload" else ["systemctl", verb, self.unit]
            done = run(command)
            if done.returncode:
                raise UnwellError(f"{' '.join(command)} failed: {said(done)}\n{self._last_words()}".strip())

    def _last_words(self) -> str:
        return run(
            ["journalctl", "--no-pager", "--lines=15", "--output=cat", "--unit", self.unit]
        ).stdout.strip()

    def _show(self) -> dict[str, str]:
        output = _systemctl("show", f"--property={','.join(_PROPERTIES)}", self.unit)
        found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return dict.fromkeys(_PROPERTIES, "") | found


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the language of programs, and take what it says."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", env=environment, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(list(command), 127, "", f"{command[0]}: not found")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said, its errors first."""
    return done.stderr.strip() or done.stdout.strip() or f"it ended with {done.returncode}"


def _systemctl(*arguments: str) -> str:
    done = run(["systemctl", *arguments])
    if done.returncode:
        raise UnwellError(f"systemctl {' '.join(arguments)} failed: {said(done)}")
    return done.stdout


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
