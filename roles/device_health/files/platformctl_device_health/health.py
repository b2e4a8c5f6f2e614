"""Which faults hold. A fault holds at once; it is over when its device was fine for some seconds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEADY_SECONDS = 5.0
"""How long a device must be fine, so that one whose link comes and goes stays out of service."""
_LONGEST = 800
_MARK = "platformctl: device fault: "


@dataclass
class Fault:
    """A fault that holds. fine_since: since when the device has been fine again; None while it is not."""

    reason: str
    fine_since: float | None = None


class Ledger:
    """The faults that hold, by device file."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._faults = {file: Fault(reason) for file, reason in reasons.items()}

    def judge(self, found: Mapping[str, str | None], now: float) -> dict[str, str]:
        """The faults that hold, with their reasons.

        found: for each watched file why it is faulty, empty if it is fine; None if that is not known, which
        changes nothing. now: seconds of a clock that never goes back. The reason of a fault is its first one.
        """
        for file in [file for file in self._faults if file not in found]:
            del self._faults[file]
        for file, reason in found.items():
            if reason:
                self._faults.setdefault(file, Fault(reason)).fine_since = None
            elif file not in self._faults:
                continue
            elif reason is None:
                self._faults[file].fine_since = None
            else:
                self._fine(file, now)
        return {file: fault.reason for file, fault in self._faults.items()}

    def _fine(self, file: str, now: float) -> None:
        fault = self._faults[file]
        if fault.fine_since is None:
            fault.fine_since = now
        elif now - fault.fine_since >= STEADY_SECONDS:
            del self._faults[file]


def text(faults: Mapping[str, str]) -> str:
    """The reason that both schedulers are told: each device, and what is wrong with it.

    What a reason is made of may come from a log or a command. It must come back from Slurm as it was sent,
    or the drain is not known as ours: on one line, without what scontrol takes away (a quotation mark at its
    end, blanks around it), or what a terminal or an API would not show as it is.
    """
    if not faults:
        return ""
    told = "; ".join(f"{file.removeprefix('/dev/')}: {reason}" for file, reason in sorted(faults.items()))
    shown = "".join(letter if letter.isprintable() else "?" for letter in " ".join(told.split()))
    return (_MARK + shown.replace('"', "'"))[:_LONGEST].rstrip()
