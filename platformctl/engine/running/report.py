"""Turns results into events: how each host ended, what a stage added up to, and how a run finished."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.errors import ExitCode, PlatformError

CONNECT = "connect"
"""The task of a host that did not answer before anything was tried on it."""


class Reporter:
    """Reports the results of one run of `command` to its journal."""

    def __init__(self, fleet: Fleet, journal: Journal, command: str) -> None:
        self._fleet = fleet
        self._journal = journal
        self._command = command
        self._seen: dict[str, StageResult] = {}

    @contextmanager
    def concluded(self, started: float) -> Iterator[None]:
        """Report a run that ends with an error, such as a refusal, as finished with that error; re-raises it.

        started: time.monotonic() at the beginning of the run.
        """
        try:
            yield
        except PlatformError as error:
            seconds = round(time.monotonic() - started, 1)
            self._journal.emit(
                "finished", **_sum(self._seen), seconds=seconds, error=error.what, code=int(error.code)
            )
            raise

    def stage(self, result: StageResult) -> None:
        """Report every host of a stage, then the totals."""
        self._seen[result.stage] = result
        counts = dict.fromkeys(Status, 0)
        for host, end in result.hosts.items():
            counts[end.status] += 1
            self._host(result.stage, host, end)
        self._journal.emit(
            "stage_finished",
            stage=result.stage,
            seconds=round(result.seconds, 1),
            **{status.value: count for status, count in counts.items()},
        )

    def untried(self, results: Mapping[str, StageResult]) -> None:
        """Report hosts on which a stage was not tried: once if they are down, for each stage if blocked."""
        said: set[str] = set()
        for name, result in results.items():
            told = self._seen[name].hosts if name in self._seen else {}
            for host, end in result.hosts.items():
                if end.status is Status.BLOCKED and told.get(host) == end:
                    continue
                if end.status is Status.BLOCKED or (not _tried(end) and host not in said):
                    said.add(host)
                    self._host(name, host, end)

    def finish(self, results: Mapping[str, StageResult], seconds: float) -> ExitCode:
        """Report the totals of the run, counted in hosts; returns the exit code."""
        counts = _sum(results)
        self._journal.emit("finished", **counts, seconds=round(seconds, 1))
        failed = _hosts(results)[Status.FAILED]
        if failed - _unfit(results):
            return ExitCode.FAILED
        return ExitCode.UNREACHABLE if failed or counts["unreachable"] else ExitCode.DONE

    def _host(self, stage: str, host: str, end: HostResult) -> None:
        retry = "" if end.status.fine or end.status is Status.BLOCKED else self._retry(stage, host)
        self._journal.emit(
            "host",
            stage=stage,
            host=host,
            status=end.status.value,
            changes=list(end.changes),
            task=end.task,
            message=end.message,
            retry=retry,
        )

    def _retry(self, stage: str, host: str) -> str:
        choice = f"--stage {stage}" if host == LOCALHOST else f"--limit {host}"
        return f"platformctl {self._command} -i {self._fleet.inventory} {choice}"


def _hosts(results: Mapping[str, StageResult]) -> dict[Status, set[str]]:
    """The hosts on which a stage ended with this status."""
    hosts_by_status: dict[Status, set[str]] = {status: set() for status in Status}
    for result in results.values():
        for host, end in result.hosts.items():
            hosts_by_status[end.status].add(host)
    return hosts_by_status


def _tried(end: HostResult) -> bool:
    return end.status is not Status.BLOCKED and not (end.status is Status.UNREACHABLE and end.task == CONNECT)


def _sum(results: Mapping[str, StageResult]) -> dict[str, Any]:
    """How many stages ran, and on how many hosts of the site something was changed or went wrong.

    local: stages run on this machine, which is no host of the site, that changed something or failed.
    """
    hosts = _hosts(results)
    ran = sum(any(map(_tried, result.hosts.values())) for result in results.values())
    counted = (Status.CHANGED, Status.FAILED, Status.UNREACHABLE)
    here = {
        status.value: [
            name
            for name, result in results.items()
            if LOCALHOST in result.hosts and result.hosts[LOCALHOST].status is status
        ]
        for status in (Status.CHANGED, Status.FAILED)
    }
    sums = {status.value: len(hosts[status] - {LOCALHOST}) for status in counted}
    return {"stages": ran, **sums, "local": here}


def _unfit(results: Mapping[str, StageResult]) -> set[str]:
    """Hosts that preflight refused. Like hosts that are down, they are left out and the others continue."""
    checked = results.get("preflight")
    return {host for host, end in checked.hosts.items() if end.status is Status.FAILED} if checked else set()
