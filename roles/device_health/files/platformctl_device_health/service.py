"""The service: judges the devices twice a second, and lets the state file and both schedulers follow."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platformctl_device_health import features, health, kubernetes, metrics, slurm, state, xids
from platformctl_device_health.checks import XID, Checks, Device, device
from platformctl_device_health.follower import Follower, UnansweredError
from platformctl_device_health.gpus import Gpus
from platformctl_device_health.kernel_log import KernelLog
from platformctl_device_health.nvml import Library
from platformctl_device_health.state import State

PERIOD_SECONDS = 0.5
METRICS_SECONDS = 30.0
NOTE = Path("/var/lib/platformctl/device-health/drain.json")
LOG = "dev/kmsg"


class Service:
    """Judges and keeps what was judged. settings: as the role writes them. folder: of the state file."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, dev: Path = Path("/dev")) -> None:
        hardware = Path(settings["hardware"])
        harmless = (xids.HARMLESS | set(settings["harmless_xids"])) - set(settings["fatal_xids"])
        before = state.read(folder)
        self.devices: list[Device] = [device(entry) for entry in settings["devices"]]
        self._folder = folder
        self._log = KernelLog(hardware / LOG, before.record)
        self._gpus = Gpus(hardware, harmless, before.gpus)
        gpus = any(one.check == XID for one in self.devices)
        self.library = Library(settings["gpu_seconds"]) if gpus else None
        self._checks = Checks(self.devices, self._gpus, hardware, dev, self.library)
        self._ledger = health.Ledger(before.faults)
        self._before = before
        self._offered_gpus = settings["offered_gpus"]

    def judge(self, now: float) -> State:
        """Look at all devices once, and write the state if it has changed."""
        self._gpus.hear(self._log.news())
        for file in state.requested(self._folder):
            self._gpus.repaired(file)
        faults = self._ledger.judge(self._checks.found(), now)
        found = State(faults, health.text(faults), dict(self._gpus.faults), self._log.last)
        if found != self._before or not (self._folder / state.FILE).exists():
            if found.reason != self._before.reason:
                sys.stderr.write(f"{found.reason or 'no device is faulty'}\n")
            state.write(self._folder, found)
            self._before = found
        return found

    def labels(self) -> str | None:
        """The labels of the node's GPUs, as JSON; empty for none, None if that is not known yet."""
        report = self.library.report if self.library else {}
        if self.library and not report:
            return None
        found = features.labels(report, self._offered_gpus)
        return json.dumps(found, sort_keys=True) if found else ""

    def tell(self, settings: Mapping[str, Any]) -> None:
        """Write the metrics again and again. What holds the devices is asked only where they are read."""
        folder = Path(settings["metrics_folder"])
        while True:
            if folder.is_dir():
                metrics.write(folder, self.metrics(settings["offered"], _held(settings)))
            time.sleep(METRICS_SECONDS)

    def metrics(self, offered: Mapping[str, Any], held: Mapping[str, Any]) -> str:
        """The content of the file of metrics."""
        report = self.library.report if self.library else {}
        return metrics.text(self.devices, self._before.faults, offered, held, report)

    def of_slurm(self, found: State) -> str:
        """What Slurm is told: the reason, if a device that it offers is faulty."""
        offered = {file for one in self.devices if one.slurm for file in one.files}
        return found.reason if offered.intersection(found.faults) else ""


def _held(settings: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """How many devices jobs and pods hold, by scheduler. A scheduler that does not answer is left out."""
    offered = settings["offered"]
    held = {"kubernetes": metrics.of_pods(offered["kubernetes"]) if offered["kubernetes"] else None}
    if offered["slurm"]:
        try:
            said = slurm.Node(settings["node"], NOTE).details()
        except UnansweredError:
            said = ""
        held["slurm"] = metrics.of_jobs(said, offered["slurm"])
    return {scheduler: counts for scheduler, counts in held.items() if counts is not None}


def run(settings: Mapping[str, Any]) -> None:
    """Serve for ever."""
    service = Service(settings, state.FOLDER)
    followers: list[tuple[Follower, Callable[[State], str | None]]] = []
    # A drain that is still ours ends, also where Slurm has no device any more.
    if settings["slurm"] or NOTE.exists():
        followers.append((Follower("Slurm", slurm.Node(settings["node"], NOTE).bring), service.of_slurm))
    if settings["kubernetes"]:
        node = kubernetes.Node(settings["node"])
        followers.append((Follower("Kubernetes", node.bring), lambda found: found.reason))
        followers.append((Follower("labels", node.label), lambda _: service.labels()))
    if service.library:
        service.library.start()
    threading.Thread(target=service.tell, args=(settings,), name="metrics", daemon=True).start()
    while True:
        found = service.judge(time.monotonic())
        for follower, reason in followers:
            text = reason(found)
            if text is not None:
                follower.want(text)
        time.sleep(PERIOD_SECONDS)


def release(settings: Mapping[str, Any]) -> list[str]:
    """Leave both schedulers as they are without this service. Returns what could not be ended, in words."""
    node = settings["node"]
    followers = [Follower("Slurm", slurm.Node(node, NOTE).bring)]
    if settings["kubernetes"]:
        kubelet = kubernetes.Node(node)
        followers += [Follower("Kubernetes", kubelet.bring), Follower("labels", kubelet.label)]
    left = [words for words in map(Follower.released, followers) if words]
    if NOTE.exists():
        left.append(f"{NOTE} remembers the drain of {node}. Try again, or remove it to leave the drain")
    return left
