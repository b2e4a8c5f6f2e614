"""The hosts' own systems: names, clocks, disks, ports."""

from collections.abc import Iterator
from contextlib import contextmanager

from platformctl.lab import faults
from platformctl.lab.dirt import others, system
from tests.e2e.situations.situation import Place, Result, Situation, When


@contextmanager
def _cloned(place: Place) -> Iterator[None]:
    with (
        system.machine_id(place.lab, "node1", "0123456789abcdef0123456789abcdef"),
        system.machine_id(place.lab, "node2", "0123456789abcdef0123456789abcdef"),
    ):
        yield


SITUATIONS = (
    Situation(
        "a host calls itself something else than the inventory",
        When.BARE,
        Result.REFUSED,
        lambda place: system.renamed(place.lab, "node1", "compute17"),
        ("node1", "calls itself compute17"),
        quick=True,
    ),
    Situation(
        "a host runs a system that nobody has tried",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.other_system(place.lab, "node2", 'ID=fedora\nPRETTY_NAME="Fedora 42"\n'),
        ("node2", "fedora 42", "install debian 13"),
        quick=True,
    ),
    Situation(
        "a host's clock is ten minutes ahead",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.skewed_clock(place.lab, "node1", 600),
        ("node1", "ahead of this machine"),
        quick=True,
    ),
    Situation(
        "the administrator may not become root on a host",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.without_sudo(place.lab, "node2"),
        ("node2", "sudo"),
        quick=True,
        hides=True,
    ),
    Situation(
        "a program of somebody else has the port of the Kubernetes API",
        When.BARE,
        Result.REFUSED,
        lambda place: system.listener(place.lab, "ctl1", 6443),
        ("ctl1", "tcp port 6443 is in use"),
        quick=True,
    ),
    Situation(
        "a host has no power",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.killed(place.lab, "node1"),
        ("node1", "no route to host"),
        hides=True,
    ),
    Situation(
        "a host's own name means 127.0.1.1, as Debian's installer writes it",
        When.FRESH,
        Result.WORKS,
        lambda place: system.name_of_loopback(place.lab, "node1"),
    ),
    Situation(
        "two hosts were cloned from one, and have the same machine id",
        When.BARE,
        Result.NAMED,
        _cloned,
        ("machine id", "node1", "node2"),
        quick=True,
    ),
    Situation(
        "a host has no Python",
        When.BARE,
        Result.REFUSED,
        lambda place: system.without_python(place.lab, "node1"),
        ("node1", "python3"),
        hides=True,
        quick=True,
    ),
    Situation(
        "sudo of a host wants a terminal",
        When.BARE,
        Result.REFUSED,
        lambda place: system.sudo_settings(place.lab, "node2", "requiretty"),
        ("node2", "sudo", "requiretty"),
        hides=True,
        quick=True,
    ),
    Situation(
        "sudo of a host lectures, logs what it does, and gives every command a terminal of its own",
        When.FRESH,
        Result.WORKS,
        lambda place: system.sudo_settings(
            place.lab, "node2", "lecture=always", "use_pty", "log_output", "timestamp_timeout=0"
        ),
    ),
    Situation(
        "no program may be started from /tmp of a host",
        When.FRESH,
        Result.WORKS,
        lambda place: system.no_programs_in_tmp(place.lab, "node1"),
    ),
    Situation(
        "a host has no room for packages",
        When.BARE,
        Result.REFUSED,
        lambda place: faults.full_disk(place.lab, "node1"),
        ("node1", "/var/cache/apt/archives", "free"),
        command=("install", "--yes", "--limit", "node1"),
        begun=True,
    ),
    Situation(
        "a package that the site needs is on hold",
        When.BARE,
        Result.REFUSED,
        lambda place: others.held_package(place.lab, "node2", "munge"),
        ("node2", "munge", "hold"),
        command=("install", "--yes", "--limit", "node2"),
        code=3,
    ),
    Situation(
        "a package of a host was never configured to the end",
        When.BARE,
        Result.REFUSED,
        lambda place: others.unfinished_package(place.lab, "node2"),
        ("node2", "half-done"),
        command=("install", "--yes", "--limit", "node2"),
        begun=True,
    ),
)
