"""Runs one stage's playbook with ansible-runner and turns its events into results.

The runner works in a thread and its handler only enqueues (a slow handler stalls Ansible). The playbook runs
under guard.py, so that it ends with this process. Of Ansible's files only a log without
secrets is kept.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from platformctl import surroundings
from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.running import failure, guard
from platformctl.engine.running.journal import Journal, private
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.waiting import Watch
from platformctl.site import secrets

_IMPORTING = threading.Lock()
_MOST_FORKS = 50
_TAIL_LINES = 15
# Events with which a task begins.
_BEGINS = ("playbook_on_task_start", "playbook_on_handler_task_start")
# Modules run in our own environment on hosts: playbooks/shell_plugins/clean_sh.py.
_SHELL = {"ansible_shell_type": "clean_sh"}


@dataclass
class _Collected:
    """The results from the events so far."""

    failures: dict[str, HostResult] = field(default_factory=dict)
    # Those after which the playbook went on.
    passed: dict[str, list[HostResult]] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=dict)
    stats: Mapping[str, Any] | None = None
    last_task: str = ""
    # Hosts that have a result in the running play, and of its last task.
    in_play: set[str] = field(default_factory=set)
    in_task: set[str] = field(default_factory=set)
    tail: list[str] = field(default_factory=list)

    def pending(self, hosts: tuple[str, ...]) -> list[str]:
        """The hosts that the running task has no result of."""
        return [host for host in hosts if host not in self.in_task and host not in self.failures]


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
        watch = Watch(self._fleet, self._journal, stage, lambda: collected.pending(hosts))
        watching = asyncio.create_task(watch.run())
        try:
            with private(self._journal.folder / f"{stage}.log") as log:
                while (event := await queue.get()) is not None:
                    watch.heard(begins=event.get("event") in _BEGINS)
                    self._take(stage, event, collected, log)
            code = await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._stop(stage)
            await asyncio.wait([thread])
            raise
        finally:
            watching.cancel()
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
        environment = {
            **self._environment(len(hosts)),
            "ANSIBLE_HOME": str(folder / "home"),
            # Modules leave on the host what they wait for, and in which stage.
            "ANSIBLE_TARGET_LOG_INFO": stage,
        }
        try:
            runner = init_runner(
                private_data_dir=str(folder),
                ident="run",
                playbook=str(self._data / "playbooks" / f"{stage}.yml"),
                inventory=self._inventories(folder),
                limit=f"@{limit}",
                extravars={**variables, **_SHELL},
                # Modules leave on the host what they wait for, and in which stage.
                envvars={**environment, "ANSIBLE_TARGET_LOG_INFO": stage},
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
            # The runner adds its own settings to the environment of this process; only these may pass.
            runner.config.env = {
                name: value
                for name, value in runner.config.env.items()
                if name in environment or value != os.environ.get(name)
            }
            with warnings.catch_warnings():
                # The fork in this thread is followed by exec at once.
                warnings.simplefilter("ignore", DeprecationWarning)
                runner.run()
            return int(runner.rc)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _inventories(self, folder: Path) -> list[str]:
        """The site's inventory, and one of the hosts that it lacks."""
        guests = {
            name: {"ansible_host": self._fleet.hosts[name].connection.address} for name in self._fleet.guests
        }
        if not guests:
            return [str(self._fleet.inventory)]
        path = folder / "guests.yml"
        path.write_text(json.dumps({"all": {"hosts": guests}}))
        return [str(self._fleet.inventory), str(path)]

    def _environment(self, hosts: int) -> dict[str, str]:
        """Settings of this run; those of all runs are in playbooks/ansible.cfg."""
        return {
            **surroundings.children(),
            **surroundings.ansible(),
            "PATH": f"{Path(sys.executable).parent}:{surroundings.children()['PATH']}",
            "ANSIBLE_ROLES_PATH": str(self._data / "roles"),
            "ANSIBLE_FORKS": str(min(_MOST_FORKS, max(1, hosts))),
            "ANSIBLE_SSH_ARGS": remote.SSH_ARGUMENTS,
            # Ansible formats this text with %.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(remote.control_folder()),
            "ANSIBLE_SSH_CONTROL_PATH": remote.control_path().replace("%", "%%"),
            # The runner extends what it finds in these two, and would otherwise ignore unknown host keys.
            "ANSIBLE_CALLBACK_PLUGINS": "",
            "ANSIBLE_STDOUT_CALLBACK": "",
            "ANSIBLE_HOST_KEY_CHECKING": "true",
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
        elif kind in _BEGINS:
            collected.last_task = str(data.get("name") or data.get("task") or "")
            collected.in_task = set()
            self._journal.emit("task", stage=stage, task=collected.last_task)
        elif kind == "runner_on_ok":
            self._done(stage, data, collected)
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            self._fail(event, collected)
        elif kind == "playbook_on_stats":
            collected.stats = data

    def _done(self, stage: str, data: Mapping[str, Any], collected: _Collected) -> None:
        host, result = str(data["host"]), data.get("res") or {}
        changed = bool(result.get("changed"))
        if changed:
            collected.changes.setdefault(host, []).append(_task(data))
        for remark in result.get("remarks") or ():
            # What a module could not do, and is no failure.
            self._journal.emit("remark", message=self._journal.redactor.text(f"{host}: {remark}"))
        self._journal.emit("task_done", stage=stage, host=host, task=data.get("task"), changed=changed)

    def _fail(self, event: Mapping[str, Any], collected: _Collected) -> None:
        """Keep a failure, with what the task said."""
        data = event["event_data"]
        host = str(data["host"])
        status = Status.FAILED if event["event"] == "runner_on_failed" else Status.UNREACHABLE
        said = failure.words(data.get("res") or {}, event.get("stdout") or "")
        end = HostResult(status, _task(data), self._journal.redactor.text(said))
        if status is Status.FAILED and data.get("ignore_errors"):
            collected.passed.setdefault(host, []).append(end)
        else:
            collected.failures[host] = end


def _task(data: Mapping[str, Any]) -> str:
    role = data.get("role")
    return f"{role} : {data.get('task', '')}" if role else str(data.get("task", ""))


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
    # A host that is in use after all: another one, which a task was delegated to, did not answer.
    elsewhere = [failure] if failure and failure.status is Status.UNREACHABLE else []
    if passed := collected.passed.get(host, []) + elsewhere:
        return _all(passed)
    changed = int((stats.get("changed") or {}).get(host, 0))
    changes = tuple(collected.changes.get(host, ()))
    return HostResult(Status.CHANGED if changed else Status.OK, changes=changes)


def _all(ends: list[HostResult]) -> HostResult:
    """Several failures of a host as one result."""
    if len(ends) == 1:
        return replace(ends[0], status=Status.FAILED, failed=(ends[0].task,))
    message = "\n".join(f"{end.task}: {end.message}" for end in ends)
    return HostResult(Status.FAILED, f"{len(ends)} tasks", message, failed=tuple(end.task for end in ends))
