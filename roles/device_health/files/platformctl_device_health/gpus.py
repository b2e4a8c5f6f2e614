"""NVIDIA's GPUs: which are faulty by what the driver wrote into the kernel's log.

An Xid is an event, so its fault holds until the log says that it is over: by Xid 154 with "None", or because
the driver was loaded again. An administrator ends it by `platformctl-device-health --repaired FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from platformctl_device_health import xids

_FILE = re.compile(r"/dev/nvidia(\d+)")
_MINOR = re.compile(r"^Device Minor:\s*(\d+)", re.MULTILINE)
_GPUS = "proc/driver/nvidia/gpus"


class Gpus:
    """The faults of GPUs by their PCI addresses.

    hardware: the root folder below which /proc is. harmless: Xids that mean nothing. faults: those known
    before.
    """

    def __init__(self, hardware: Path, harmless: Iterable[int], faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        self._folder = hardware / _GPUS
        self._harmless = frozenset(harmless)
        self._addresses: dict[str, str] = {}

    def hear(self, lines: Iterable[str]) -> None:
        """Take in new lines of the kernel's log."""
        for line in lines:
            event = xids.event(line, self._harmless)
            if event is None:
                continue
            if event.fault:
                # The first Xid names the cause; those that follow come from it.
                self.faults.setdefault(event.address, event.fault)
            elif event.address:
                self.faults.pop(event.address, None)
            else:
                self.faults.clear()

    def fault(self, file: str) -> str:
        """Why the GPU of a device file cannot be used; empty if it can, or if it is not known here."""
        return self.faults.get(self.address(file), "") if self.faults else ""

    def repaired(self, file: str) -> None:
        """Forget the fault of a device file's GPU."""
        self.faults.pop(self.address(file), None)

    def address(self, file: str) -> str:
        """The PCI address of a device file's GPU; empty if the driver does not know it."""
        found = _FILE.fullmatch(file)
        if found is None:
            return ""
        if found[1] not in self._addresses:
            # What was known stays known: a GPU that has failed may be gone from there.
            self._addresses |= self._listed()
        return self._addresses.get(found[1], "")

    def _listed(self) -> dict[str, str]:
        """PCI addresses by minor number, as the driver lists them."""
        found = {}
        for information in sorted(self._folder.glob("*/information")):
            try:
                minor = _MINOR.search(information.read_text())
                if minor:
                    found[minor[1]] = xids.address(information.parent.name)
            except (OSError, ValueError):
                continue
        return found
