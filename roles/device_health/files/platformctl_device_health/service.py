"""The service: judges the devices twice a second, and lets the state file and both schedulers follow."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformctl_device_health import health, kubernetes, slurm, state, xids
from platformctl_device_health.checks import Checks, Device, device
from platformctl_device_health.follower import Follower
from platformctl_device_health.gpus import Gpus
from platformctl_device_health.kernel_log import KernelLog
from platformctl_device_health.state import State

PERIOD_SECONDS = 0.5
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
        self._checks = Checks(self.devices, self._gpus, hardware, dev)
        self._ledger = health.Ledger(before.faults)
        self._before = before

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

    def of_slurm(self, found: State) -> str:
        """What Slurm is told: the reason, if a device that it offers is faulty."""
        offered = {file for one in self.devices if one.slurm for file in one.files}
        return found.reason if offered.intersection(found.faults) else ""


def run(settings: Mapping[str, Any]) -> None:
    """Serve for ever."""
    service = Service(settings, state.FOLDER)
    followers = []
    # A drain that is still ours ends, also where Slurm has no device any more.
    if settings["slurm"] or NOTE.exists():
        followers.append((Follower("Slurm", slurm.Node(settings["node"], NOTE).bring), service.of_slurm))
    if settings["kubernetes"]:
        node = kubernetes.Node(settings["node"])
        followers.append((Follower("Kubernetes", node.bring), lambda found: found.reason))
    while True:
        found = service.judge(time.monotonic())
        for follower, reason in followers:
            follower.want(reason(found))
        time.sleep(PERIOD_SECONDS)


def release(settings: Mapping[str, Any]) -> list[str]:
    """Leave both schedulers as they are without this service. Returns what could not be ended, in words."""
    node = settings["node"]
    followers = [Follower("Slurm", slurm.Node(node, NOTE).bring)]
    if settings["kubernetes"]:
        followers.append(Follower("Kubernetes", kubernetes.Node(node).bring))
    left = [words for words in map(Follower.released, followers) if words]
    if NOTE.exists():
        left.append(f"{NOTE} remembers the drain of {node}. Try again, or remove it to leave the drain")
    return left
