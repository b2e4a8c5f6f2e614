"""What the Xid messages of NVIDIA's driver mean: which say that a GPU cannot be used. Pure.

Sources, read in November 2026: NVIDIA's Xid catalogue
(https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html), column "Immediate Action", and the
Xids that NVIDIA's device plugin ignores (internal/rm/health.go of NVIDIA/k8s-device-plugin). An Xid that is
in none of the tables below counts as fatal, as with that plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

RECOVERY_ACTION = 154
"""Since driver R565: says what a GPU needs; "None" when it needs nothing any more."""

OF_APPLICATIONS = {8, 13, 25, 31, 32, 39, 40, 41, 60, *range(68, 73), 75, 76, 77, 80, *range(82, 87), 88, 89}
OF_APPLICATIONS |= {94, *range(96, 106), *range(126, 136), 139}
"""RESTART_APP: the program that caused it ends, and the GPU can be used."""

TO_BE_IGNORED = {
    14,
    37,
    38,
    43,
    44,
    63,
    66,
    67,
    92,
    93,
    106,
    107,
    108,
    121,
    137,
    141,
    152,
    153,
    157,
    160,
    161,
}
"""IGNORE: corrected, recorded, or without effect."""

IGNORED_BY_PLUGIN = {13, 31, 43, 45, 68, 109}
"""What NVIDIA's device plugin ignores. For 109 a driver since R570 also says by 154 if a reset is needed."""

DECIDED_BY_154 = set(range(144, 151))
"""NVLink: fatal or not by details in the message. Drivers that write these also write 154 if it is fatal."""

NOTICES = {162, 163, 164, 165}
"""Power smoothing: tells what the GPU does."""

HARMLESS = OF_APPLICATIONS | TO_BE_IGNORED | IGNORED_BY_PLUGIN | DECIDED_BY_154 | NOTICES

_MESSAGE = re.compile(
    r"NVRM: Xid \(PCI:(?P<address>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})(?:\.\d)?\): (?P<number>\d+)"
    r"(?:, (?P<words>.*))?"
)
_NOISE = re.compile(r"\b(pid|name|channel)=[^,]*,? ?|\bCh [0-9A-Fa-f]+,? ?")
_DRIVER_LOADED = re.compile(r"NVRM: loading NVIDIA UNIX\b")
_LONGEST = 120


@dataclass(frozen=True)
class Event:
    """What a line of the kernel's log says of a GPU.

    address: of the GPU on the PCI bus, `0000:3b:00`; empty for all GPUs. fault: why it cannot be used; empty
    if it can be used again.
    """

    address: str
    fault: str


def address(text: str) -> str:
    """A PCI address in one form: `0000:3b:00`, whatever the length of its domain, without a function."""
    domain, bus, device = text.lower().partition(".")[0].split(":")
    return f"{int(domain, 16):04x}:{bus}:{device}"


def event(line: str, harmless: Iterable[int] = HARMLESS) -> Event | None:
    """What a line means for a GPU's health; None if it means nothing.

    Only the driver begins a line like this; names of processes may stand further behind.
    """
    if _DRIVER_LOADED.match(line):
        return Event("", "")
    found = _MESSAGE.match(line)
    if found is None:
        return None
    number, words = int(found["number"]), (found["words"] or "").strip()
    if number == RECOVERY_ACTION:
        return _recovery(address(found["address"]), words)
    if number in harmless:
        return None
    told = _NOISE.sub("", words).strip(" ,.")[:_LONGEST]
    return Event(address(found["address"]), f"Xid {number}" + (f", {told}" if told else ""))


def _recovery(where: str, words: str) -> Event:
    """By the last words in brackets: `changed from 0x0 (None) to 0x1 (GPU Reset Required)`."""
    needed = re.findall(r"\(([^()]*)\)", words)
    action = needed[-1] if needed else words
    return Event(where, "" if action.lower() == "none" else f"Xid {RECOVERY_ACTION}, {action[:_LONGEST]}")
