"""Users and groups that hosts had before, and the shared home."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from platformctl.lab.dirt import accounts, drift, inventories
from tests.e2e.situations.situation import Place, Result, Situation, When

_CAROL = {"name": "carol", "uid": 10003, "groups": ["physics"], "slurm_account": "physics"}


@contextmanager
def _administrator_and_user(place: Place) -> Iterator[None]:
    """An administrator of a host becomes a user of the site."""
    with (
        accounts.administrator(place.lab, "node2", "carol", 10003),
        inventories.added(place.lab, "users_accounts", [_CAROL]),
        inventories.added(place.lab, "takeover", ["account:carol"]),
    ):
        yield


def _keeps_her_rights(place: Place) -> None:
    groups = place.site.host("node2", "id", "--name", "--groups", "carol").split()
    assert {"sudo", "adm"} <= set(groups)
    assert place.site.host("node2", "cat", "/var/lib/carol/notes") == "kept\n"


def _is_as_before(place: Place) -> None:
    _keeps_her_rights(place)
    entry = place.site.host("node2", "getent", "passwd", "carol").strip().split(":")
    assert (entry[2], entry[5]) == ("10003", "/var/lib/carol")


def _accounts_without(place: Place, name: str) -> list[dict[str, Any]]:
    known = inventories.known_variables(place.lab)["users_accounts"]
    return [entry for entry in known if entry["name"] != name]


@contextmanager
def _busy_user_leaves(place: Place) -> Iterator[None]:
    """Bob is taken out of the inventory while a process of his runs on one host."""
    with (
        accounts.process(place.lab, "node2", "bob"),
        inventories.variables(place.lab, users_accounts=_accounts_without(place, "bob")),
    ):
        yield


@contextmanager
def _user_comes_without_database(place: Place) -> Iterator[None]:
    with (
        drift.stopped(place.lab, "ctl1", "slurmdbd"),
        inventories.added(place.lab, "users_accounts", [_CAROL]),
    ):
        yield


def _carol_may_submit(place: Place) -> None:
    place.site.shell("ctl1", "srun --account=physics true", "carol")


def _user_has_all(place: Place) -> None:
    for host in ("ctl1", "node1", "node2"):
        place.site.host(host, "id", "bob")


SITUATIONS = (
    Situation(
        "somebody else on a host has the uid of a user of the site",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.uid_taken(place.lab, "node1", 10001),
        ("node1", "uid 10001 of alice belongs to mallory"),
        quick=True,
    ),
    Situation(
        "another group of a host has the gid of a group of the site",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.gid_taken(place.lab, "node2", 20001),
        ("node2", "gid 20001 of physics belongs to chess"),
        quick=True,
    ),
    Situation(
        "a group of the site is on a host with another number and a member",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.group_of_other_number(place.lab, "node1", "physics", 5000),
        ("node1", "group:physics", "gid 5000 becomes 20001"),
        quick=True,
    ),
    Situation(
        "an administrator of a host has the name of a user of the site",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.administrator(place.lab, "ctl1", "alice", 10001),
        ("ctl1", "account:alice", "home '/var/lib/alice' becomes '/home/alice'"),
        quick=True,
    ),
    Situation(
        "slurm has another uid on one host of Slurm",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.slurm_of_other_number(place.lab, "node2", 5000),
        ("node2", "slurm has the uid 5000"),
        quick=True,
    ),
    Situation(
        "the shared home is another file system on one host",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.home_away(place.lab, "node1"),
        ("node1", "/home is another file system"),
        quick=True,
    ),
    Situation(
        "the shared home is read-only on one host",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.home_with_options(place.lab, "node2", "ro,nosuid,nodev"),
        ("node2", "/home is read-only"),
        quick=True,
    ),
    Situation(
        "the shared home is mounted without nosuid on one host",
        When.BARE,
        Result.REFUSED,
        lambda place: accounts.home_with_options(place.lab, "node1", "rw,suid,nodev"),
        ("node1", "/home is mounted without nosuid"),
        quick=True,
    ),
    Situation(
        "an administrator of a host becomes a user of the site",
        When.FRESH,
        Result.NAMED,
        _administrator_and_user,
        ("account:carol",),
        kept=_keeps_her_rights,
        restored=_is_as_before,
    ),
    Situation(
        "a user with running work is taken out of the inventory, and somebody installs",
        When.INSTALLED,
        Result.REFUSED,
        _busy_user_leaves,
        ("bob leaves the site", "processes on node2", "sleep", "users_leaving: end"),
        command=("install",),
        code=3,
        kept=_user_has_all,
    ),
    Situation(
        "a user with running work is taken out of the inventory, and it may end; then the user comes back",
        When.INSTALLED,
        Result.HEALTHY,
        _busy_user_leaves,
        ("bob leaves the site", "processes on node2", "sleep"),
    ),
    Situation(
        "a user is added while Slurm's accounting does not run",
        When.INSTALLED,
        Result.HEALTHY,
        _user_comes_without_database,
        ("slurmdbd is inactive",),
        kept=_carol_may_submit,
    ),
)
