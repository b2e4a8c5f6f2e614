"""What stands between a host's /etc/passwd and the inventory's users."""

import grp
import pwd

import pytest

from tests.ansible_files import load

posix_accounts = load("roles/users/library/posix_accounts.py")
PHYSICS = {"name": "physics", "gid": 20001}
ALICE = {"name": "alice", "uid": 10001, "full_name": "Alice Example", "groups": ["physics"]}


def person(name, uid, gecos="", home=None, shell="/bin/bash"):
    return pwd.struct_passwd((name, "x", uid, uid, gecos, home or f"/home/{name}", shell))


def group(name, gid, members=()):
    return grp.struct_group((name, "x", gid, list(members)))


@pytest.fixture
def host(monkeypatch):
    """Set what the host has, and return the accounts as the module sees them."""

    def with_host(passwd=(), groups=(), *, accounts=(ALICE,), wanted_groups=(PHYSICS,)):
        monkeypatch.setattr(pwd, "getpwall", lambda: list(passwd))
        monkeypatch.setattr(grp, "getgrall", lambda: list(groups))
        params = {
            "groups": list(wanted_groups),
            "accounts": list(accounts),
            "home": "/home",
            "shell": "/bin/bash",
        }
        return posix_accounts.Accounts(params)

    return with_host


def converged():
    return [person("alice", 10001, "Alice Example")], [
        group("physics", 20001, ["alice"]),
        group("alice", 10001),
    ]


def test_a_bare_host_gets_groups_then_users_then_memberships(host):
    accounts = host()
    assert accounts.creation() == [
        "g physics 20001",
        "g alice 10001",
        'u alice 10001:10001 "Alice Example" /home/alice /bin/bash',
        "m alice physics",
    ]
    assert accounts.changes() == accounts.removals() == accounts.conflicts() == []


def test_nothing_is_done_when_nothing_differs(host):
    accounts = host(*converged())
    assert accounts.creation() == accounts.changes() == accounts.removals() == []


def test_a_changed_name_and_shell_are_one_command(host):
    people, groups = converged()
    accounts = host(people, groups, accounts=[{**ALICE, "full_name": "Alice", "shell": "/bin/sh"}])
    assert accounts.changes() == [["usermod", "--comment", "Alice", "--shell", "/bin/sh", "alice"]]


def test_a_membership_that_nobody_wants_is_taken_away(host):
    people, groups = converged()
    accounts = host(people, [*groups, group("admins", 30000, ["alice"])])
    assert accounts.changes() == [["usermod", "--groups", "physics", "alice"]]


def test_numbers_of_others_are_refused_by_name(host):
    accounts = host([person("mallory", 10001)], [group("games", 20001)])
    assert accounts.conflicts() == [
        "uid 10001 of alice belongs to mallory on this host",
        "gid 20001 of physics belongs to games on this host",
    ]


def test_a_group_that_nobody_defines_is_refused(host):
    accounts = host(wanted_groups=[])
    assert accounts.conflicts() == ["alice is in group physics, which does not exist"]


def test_a_number_may_pass_from_a_user_who_leaves(host):
    accounts = host(
        [person("bob", 10001)],
        [group("bob", 10001)],
        accounts=[ALICE, {"name": "bob", "uid": 10001, "state": "absent"}],
    )
    assert accounts.conflicts() == []
    assert accounts.removals() == [["userdel", "bob"]]


def test_absent_users_that_are_not_there_are_no_change(host):
    accounts = host(*converged(), accounts=[ALICE, {"name": "bob", "uid": 10002, "state": "absent"}])
    assert accounts.removals() == []
