"""Where platformctl runs, and what hosts' logins and environments say."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from platformctl.lab.dirt import logins
from tests.e2e.situations.situation import Place, Result, Situation, When
from tests.unit.test_surroundings import EVIL

_CONFIG = (
    "[tags]\nskip = all\n[defaults]\nask_vault_pass = true\n[privilege_escalation]\nbecome_ask_pass = true\n"
)


@contextmanager
def _operator(place: Place) -> Iterator[None]:
    """An operator's shell with everything wrong at once."""
    del place
    before = os.umask(0o077)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "ansible.cfg")
        config.write_text(_CONFIG)
        changed = {**EVIL, "ANSIBLE_CONFIG": str(config), "LANG": "odd", "TERM": "dumb", "COLUMNS": "3"}
        try:
            with mock.patch.dict(os.environ, changed):
                yield
        finally:
            os.umask(before)


@contextmanager
def _no_room_for_state(place: Place) -> Iterator[None]:
    """Nothing can be written below the operator's home."""
    del place
    with mock.patch.dict(os.environ, {"XDG_STATE_HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"}):
        yield


@contextmanager
def _folder_with_a_space(place: Place) -> Iterator[None]:
    inventory = place.site.inventory
    with tempfile.TemporaryDirectory(prefix="my site ") as folder:
        place.site.inventory = Path(folder, "our inventory")
        place.site.inventory.symlink_to(inventory)
        try:
            yield
        finally:
            place.site.inventory = inventory


@contextmanager
def _other_key(place: Place, host: str) -> Iterator[None]:
    """The operator's machine knows the host with another ssh key than it has."""
    known = place.lab.state / "known_hosts"
    before = known.read_text()
    address = f"{place.lab.host(host).address},"
    other = next(line.partition(" ")[2] for line in before.splitlines() if not line.startswith(address))
    lines = [f"{address}{host} {other}" if line.startswith(address) else line for line in before.splitlines()]
    try:
        known.write_text("\n".join([*lines, ""]))
        # Connections that are open would serve on.
        place.lab.exec(host, ["pkill", "-u", "ops"])
        yield
    finally:
        known.write_text(before)


def _no_proxy_in_manifests(place: Place) -> None:
    found = place.lab.exec("ctl1", ["grep", "-ril", "192.0.2.1:3128", "/etc/kubernetes/manifests"])
    assert found.stdout == ""


def _others_may_enter(place: Place) -> None:
    for host in ("ctl1", "node1", "node2"):
        script = (
            "find /usr/local/lib/platform-run-image /opt/cni /usr/local/bin -type d ! -perm -005 2>/dev/null"
        )
        assert place.lab.exec(host, ["sh", "-c", script]).stdout == ""


SITUATIONS = (
    Situation(
        "the operator's variables, umask and ansible.cfg are wrong in many ways",
        When.INSTALLED,
        Result.WORKS,
        _operator,
    ),
    Situation(
        "a login shell prints a line for every command",
        When.FRESH,
        Result.WORKS,
        lambda place: logins.noisy_shell(place.lab, "node1", "Welcome to node1"),
    ),
    Situation(
        "a login shell prints what Ansible takes for an answer",
        When.BARE,
        Result.REFUSED,
        lambda place: logins.noisy_shell(place.lab, "node1", '{"banner": "Welcome"}'),
        ("node1", "login shell", "it prints", ".bashrc"),
        quick=True,
    ),
    Situation(
        "a login shell runs no commands",
        When.BARE,
        Result.REFUSED,
        lambda place: logins.no_shell(place.lab, "node2"),
        ("node2", "login shell", "does not run the commands of its user"),
        hides=True,
    ),
    Situation(
        "hosts have a proxy for everything",
        When.FRESH,
        Result.WORKS,
        lambda place: logins.proxies(place.lab, "ctl1"),
        kept=_no_proxy_in_manifests,
    ),
    Situation(
        "a worker has a proxy for everything",
        When.FRESH,
        Result.WORKS,
        lambda place: logins.proxies(place.lab, "node1"),
    ),
    Situation(
        "new files of a host are for their owner alone",
        When.FRESH,
        Result.WORKS,
        lambda place: logins.strict_umask(place.lab, "node2"),
        kept=_others_may_enter,
    ),
    Situation(
        "a host's record of what it has is damaged",
        When.INSTALLED,
        Result.HEALTHY,
        lambda place: logins.damaged_record(place.lab, "node1"),
        ("node1", "is damaged, so what it has is unknown"),
    ),
    Situation(
        "the login shell of a host's administrator is tcsh",
        When.FRESH,
        Result.WORKS,
        lambda place: logins.c_shell(place.lab, "node2"),
    ),
    Situation(
        "nothing can be written below the operator's home",
        When.BARE,
        Result.REFUSED,
        _no_room_for_state,
        ("/proc/nowhere", "XDG_STATE_HOME"),
        command=("install", "--yes"),
        hides=True,
        quick=True,
    ),
    Situation(
        "the folder of the inventory has a space in its name",
        When.BARE,
        Result.WORKS,
        _folder_with_a_space,
    ),
    Situation(
        "a host shows another ssh key than before",
        When.BARE,
        Result.REFUSED,
        lambda place: _other_key(place, "node1"),
        ("node1", "ssh-keygen", "another"),
        hides=True,
        quick=True,
    ),
)
