"""Which messages of NVIDIA's driver take a GPU out of service, and which bring it back."""

import pytest

from tests.unit.roles.device_health.package import module

xids = module("xids")
AT = "NVRM: Xid (PCI:0000:3b:00)"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            f"{AT}: 79, pid=4711, name=python, GPU has fallen off the bus.",
            "Xid 79, GPU has fallen off the bus",
        ),
        (f"{AT}: 48, pid='<unknown>', name=<unknown>, An uncorrectable double bit error", None),
        (f"{AT}: 95, pid=1, name=x, Ch 00000008, uncontained", "Xid 95, uncontained"),
        (f"{AT}: 119", "Xid 119"),
        (f"{AT}: 999, of a newer driver", "Xid 999, of a newer driver"),
        (
            f"{AT}: 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
            "Xid 154, GPU Reset Required",
        ),
        (f"{AT}: 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)", ""),
        (
            "NVRM: Xid (PCI:00000000:3B:00.0): 79, GPU has fallen off the bus.",
            "Xid 79, GPU has fallen off the bus",
        ),
    ],
)
def test_what_a_fatal_message_says(line: str, fault: str | None) -> None:
    event = xids.event(line)
    assert event.address == "0000:3b:00"
    assert fault is None or event.fault == fault


@pytest.mark.parametrize("number", [13, 31, 43, 45, 63, 68, 92, 94, 109])
def test_a_harmless_message_says_nothing(number: int) -> None:
    assert xids.event(f"{AT}: {number}, pid=4711, name=python, whatever") is None


@pytest.mark.parametrize("number", [46, 48, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143, 155, 156, 158])
def test_what_nvidia_wants_to_be_reset_is_fatal(number: int) -> None:
    assert number not in xids.HARMLESS


@pytest.mark.parametrize(
    "line",
    [
        "usb 1-1: new device",
        "NVRM: GPU at PCI:0000:3b:00: GPU-6d2d4b5c",
        "NVRM: Xid (PCI:zz): 79",
        "NVRM: Xid",
        f"evil[1]: segfault {AT}: 79, gone",
        "",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert xids.event(line) is None


def test_a_driver_that_is_loaded_again_has_forgotten_all_faults() -> None:
    assert xids.event("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05") == xids.Event(
        "", ""
    )


def test_a_site_says_what_is_harmless() -> None:
    assert xids.event(f"{AT}: 79, gone", harmless={79}) is None
    assert xids.event(f"{AT}: 13, x", harmless=xids.HARMLESS - {13}).fault == "Xid 13, x"
