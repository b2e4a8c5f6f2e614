"""Runs one stage's playbook with ansible-runner and turns its events into results.

The runner works in a thread and its handler only enqueues (a slow handler stalls Ansible). The playbook runs
under guard.py, so that it ends with this process. Of Ansible's files only a log without
secrets is kept.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.running import guard
from platformctl.engine.running.journal import Journal, private
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.site import secrets

_IMPORTING = threading.Lock()
_MOST_FORKS = 50
_TAIL_LINES = 15
_HINTS = {
    "No space left on device": "the disk of this host is full",
    "Could not get lock /var/lib/dpkg": "another program is installing packages on this host",
    "Missing sudo password": "the user may not use sudo without a password there",
}


@dataclass
class _Collected:
    """The results from the events so far."""

    failures: dict[str, HostResult] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=dict)
    stats: Mapping[str, Any] | None = None
    last_task: str = ""
    # Hosts that have a result in the running play, and of its last task.
    in_play: set[str] = field(default_factory=set)
    in_task: set[str] = field(default_factory=set)
    tail: list[str] = field(default_factory=list)


class Session:
    """Runs playbooks of a site; one instance a run of platformctl."""

    def __init__(self, fleet: Fleet, data: Path, journal: Journal, verbosity: int = 0) -> None:
        self._fleet = fleet
        self._data = data
        self._journal = journal
        self._verbosity = verbosity

    async def run(
        self, stage: str, hosts: tuple[str, ...], variables: Mapping[str, Any] | None = None
    ) -> StageResult:
        """Run playbooks/<stage>.yml on these hosts."""
        started = time.monotonic()
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def enqueue(event: Mapping[str, Any] | None) -> bool:
            loop.call_soon_threadsafe(queue.put_nowait, event)
            return False

        def work() -> int:
            try:
                return self._ansible(stage, hosts, variables or {}, enqueue)
            finally:
                enqueue(None)

        thread = asyncio.create_task(asyncio.to_thread(work))
        collected = _Collected()
        try:
            with private(self._journal.folder / f"{stage}.log") as log:
                while (event := await queue.get()) is not None:
                    self._take(stage, event, collected, log)
            code = await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._stop(stage)
            await asyncio.wait([thread])
            raise
        results = {host: _verdict(host, code, collected) for host in hosts}
        return StageResult(stage, results, time.monotonic() - started)

    def _folder(self, stage: str) -> Path:
        """Where Ansible works; removed after the stage."""
        return self._journal.folder / f".{stage}"

    def _stop(self, stage: str) -> None:
        """End the playbook and all processes that it started."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._folder(stage) / "pid").read_text()), signal.SIGTERM)

    def _ansible(self, stage: str, hosts: tuple[str, ...], variables: Mapping[str, Any], handler: Any) -> int:
        """Run the playbook to its end, in a thread; returns its exit status."""
        # Imported late: it costs 0.2 s, which a run with nothing to do saves. Under a lock: of two threads
        # that import it at once, one may see the package's `plugins` as its subpackage instead of a list.
        with _IMPORTING:
            from ansible_runner.interface import init_runner  # type: ignore[import-untyped]

        folder = self._folder(stage)
        folder.mkdir(mode=0o700, exist_ok=True)
        limit = folder / "limit"
        limit.write_text("\n".join(hosts) + "\n")
        try:
            runner = init_runner(
                private_data_dir=str(folder),
                ident="run",
                playbook=str(self._data / "playbooks" / f"{stage}.yml"),
                inventory=str(self._fleet.inventory),
                limit=f"@{limit}",
                extravars=dict(variables) or None,
                envvars=self._environment(len(hosts)),
                verbosity=self._verbosity or None,
                quiet=True,
                suppress_output_file=True,
                suppress_env_files=True,
                event_handler=handler,
                cancel_callback=lambda: False,
            )
            guarded = [
                sys.executable,
                "-I",
                "-S",
                guard.__file__,
                str(folder / "pid"),
                *runner.config.command,
            ]
            runner.config.command = guarded
            with warnings.catch_warnings():
                # The fork in this thread is followed by exec at once.
                warnings.simplefilter("ignore", DeprecationWarning)
                runner.run()
            return int(runner.rc)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _environment(self, hosts: int) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": str(self._data / "roles"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_FORKS": str(min(_MOST_FORKS, max(1, hosts))),
            "ANSIBLE_GATHERING": "explicit",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "ANSIBLE_SSH_ARGS": remote.SSH_ARGUMENTS,
            # Ansible formats this text with %.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(remote.control_folder()),
            "ANSIBLE_SSH_CONTROL_PATH": remote.control_path().replace("%", "%%"),
            "ANSIBLE_SSH_RETRIES": "1",
            "ANSIBLE_TIMEOUT": "10",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
            **self._vault(),
        }

    def _vault(self) -> dict[str, str]:
        """The key of the site's secrets, for values encrypted by themselves; beside the user's own keys."""
        key = secrets.key_file(self._fleet.inventory)
        return {"ANSIBLE_VAULT_IDENTITY_LIST": f"platformctl@{key}"} if key else {}

    def _take(self, stage: str, event: Mapping[str, Any], collected: _Collected, log: TextIO) -> None:
        """Write what Ansible printed to the log, and read the event."""
        text = self._journal.redactor.text(event.get("stdout") or "")
        if text:
            print(text, file=log, flush=True)
            collected.tail = (collected.tail + text.splitlines())[-_TAIL_LINES:]
        self._read(stage, event, collected)

    def _read(self, stage: str, event: Mapping[str, Any], collected: _Collected) -> None:
        kind = str(event.get("event"))
        data = event.get("event_data") or {}
        if kind.startswith("runner_on_") and kind != "runner_on_start":
            collected.in_play.add(str(data.get("host")))
            collected.in_task.add(str(data.get("host")))
        if kind == "playbook_on_play_start":
            collected.in_play = set()
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            collected.last_task = str(data.get("name") or data.get("task") or "")
            collected.in_task = set()
            self._journal.emit("task", stage=stage, task=collected.last_task)
        elif kind == "runner_on_ok":
            host, changed = str(data["host"]), bool((data.get("res") or {}).get("changed"))
            if changed:
                collected.changes.setdefault(host, []).append(_task(data))
            self._journal.emit("task_done", stage=stage, host=host, task=data.get("task"), changed=changed)
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            message = self._journal.redactor.text(_message(data.get("res") or {}))
            collected.failures[str(data["host"])] = HostResult(Status.FAILED, _task(data), message)
        elif kind == "runner_on_unreachable":
            message = self._journal.redactor.text(_message(data.get("res") or {}))
            collected.failures[str(data["host"])] = HostResult(Status.UNREACHABLE, _task(data), message)
        elif kind == "playbook_on_stats":
            collected.stats = data


def _task(data: Mapping[str, Any]) -> str:
    role = data.get("role")
    return f"{role} : {data.get('task', '')}" if role else str(data.get("task", ""))


def _message(result: Mapping[str, Any]) -> str:
    """What a failed task said: its message, and the end of its output where that says more."""
    parts = [str(result.get("msg") or "")]
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            parts.append(str(item.get("msg") or ""))
    for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
        lines = str(result.get(key) or "").strip().splitlines()
        if lines and lines[-1] not in parts[0]:
            parts.append("\n".join(lines[-5:]))
            break
    text = "\n".join(line for line in parts if line) or "failed without a message"
    return with_hint(text)


def with_hint(text: str) -> str:
    """The message, with its meaning before it if that is known."""
    hint = next((words for sign, words in _HINTS.items() if sign in text), "")
    return f"{hint}: {text}" if hint else text


def _verdict(host: str, code: int, collected: _Collected) -> HostResult:
    """How the stage ended on a host; a host on which the playbook did not reach its end has failed."""
    stats = collected.stats or {}
    failure = collected.failures.get(host)
    if host in (stats.get("dark") or {}):
        return failure or HostResult(Status.UNREACHABLE)
    if host in (stats.get("failures") or {}):
        return failure or HostResult(Status.FAILED, message="\n".join(collected.tail))
    if collected.stats is None:
        return failure or HostResult(
            Status.FAILED, message="\n".join(collected.tail) or "Ansible ended early"
        )
    if code != 0 and host not in (stats.get("processed") or {}):
        return HostResult(Status.FAILED, message="not reached, since the playbook stopped before this host")
    # After the failure of a task that all hosts share (run_once), Ansible stops all and counts one.
    if code != 0 and host in collected.in_play - collected.in_task:
        message = "stopped, since this task failed on another host"
        return HostResult(Status.FAILED, collected.last_task, message)
    changed = int((stats.get("changed") or {}).get(host, 0))
    changes = tuple(collected.changes.get(host, ()))
    return HostResult(Status.CHANGED if changed else Status.OK, changes=changes)
