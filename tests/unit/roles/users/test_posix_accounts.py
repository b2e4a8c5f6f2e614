"""What stands between a host's /etc/passwd and the inventory's users, and what is never taken away."""

import importlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_files import load

load("roles/users/library/posix_accounts.py")
accounts_plan = importlib.import_module("ansible.module_utils.accounts.plan")
database = importlib.import_module("ansible.module_utils.accounts.database")
PHYSICS = {"name": "physics", "gid": 20001}
ALICE = {"name": "alice", "uid": 10001, "full_name": "Alice Example", "groups": ["physics"]}
CAROL = {"name": "carol", "uid": 1000}
Passwd, Group = tuple[str, int, int, str, str, str], tuple[str, int, str]
OURS: Passwd = ("alice", 10001, 10001, "Alice Example", "/home/alice", "/bin/bash")
GROUPS: tuple[Group, ...] = (("physics", 20001, "alice"), ("alice", 10001, ""))
RECORD = {
    "users": {"alice": None},
    "groups": {"alice": None, "physics": None},
    "joined": {"alice": ["physics"]},
}
ADMIN: Passwd = ("carol", 1000, 1000, "Carol", "/var/home/carol", "/bin/zsh")
ADMIN_GROUPS: tuple[Group, ...] = (("carol", 1000, ""), ("sudo", 27, "carol"), ("adm", 4, "carol,dave"))


class Host:
    """Files that stand for /etc, and the record."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.record = folder / "etc", folder / "before" / "accounts.json"

    def write(self, users: Iterable[Passwd], groups: Iterable[Group], record: Any, shadow: str) -> None:
        self.etc.mkdir(exist_ok=True)
        rows = [
            f"{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}" for name, uid, gid, gecos, home, shell in users
        ]
        (self.etc / "passwd").write_text("".join(f"{row}\n" for row in rows))
        (self.etc / "group").write_text("".join(f"{name}:x:{gid}:{who}\n" for name, gid, who in groups))
        (self.etc / "shadow").write_text(shadow)
        if record is not None:
            self.record.parent.mkdir(exist_ok=True)
            self.record.write_text(json.dumps(record))


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., Any]:
    """Set what the host has, and return the plan as the module sees it."""

    def with_host(
        users: Iterable[Passwd] = (),
        local: Iterable[Group] = (),
        record: Any = None,
        shadow: str = "",
        **params: Any,
    ) -> Any:
        there = Host(tmp_path)
        there.write(users, local, record, shadow)
        given = {
            "groups": [PHYSICS],
            "accounts": [ALICE],
            "home": "/home",
            "shell": "/bin/bash",
            "record": str(there.record),
            **params,
        }
        return accounts_plan.AccountPlan(given, there.etc)

    return with_host


def steps(plan: Any) -> list[Any]:
    return [*plan.restorations(), *plan.removals(), *plan.creation(), *plan.commands()]


def test_a_bare_host_gets_groups_then_users_then_memberships(host: Any) -> None:
    plan = host()
    assert plan.creation() == [
        "g physics 20001",
        "g alice 10001",
        'u alice 10001:10001 "Alice Example" /home/alice /bin/bash',
        "m alice physics",
    ]
    assert plan.commands() == plan.removals() == plan.conflicts() == []
    assert plan.changes() == {}
    plan.note()
    assert (plan.record.users, plan.record.groups) == (RECORD["users"], RECORD["groups"])
    assert plan.record.joined == RECORD["joined"]


def test_nothing_is_done_when_nothing_differs(host: Any) -> None:
    assert steps(host([OURS], GROUPS, RECORD)) == []


def test_names_with_marks_of_sysusers_stay_as_they_are(host: Any) -> None:
    plan = host(accounts=[{**ALICE, "full_name": '100% "Al"'}])
    assert 'u alice 10001:10001 "100%% \\"Al\\"" /home/alice /bin/bash' in plan.creation()


def test_a_changed_name_and_shell_of_our_account_are_one_command(host: Any) -> None:
    plan = host([OURS], GROUPS, RECORD, accounts=[{**ALICE, "full_name": "Al", "shell": "/bin/sh"}])
    assert plan.commands() == [["usermod", "--comment", "Al", "--shell", "/bin/sh", "alice"]]
    assert plan.changes() == {}


def test_only_groups_of_the_site_and_those_that_we_gave_are_taken_away(host: Any) -> None:
    groups = [*GROUPS, ("docker", 990, "alice"), ("video", 44, "alice")]
    record = {**RECORD, "joined": {"alice": ["physics", "video"]}}
    plan = host([OURS], groups, record, accounts=[{**ALICE, "groups": []}])
    assert plan.commands() == [
        ["gpasswd", "--delete", "alice", "physics"],
        ["gpasswd", "--delete", "alice", "video"],
    ]


def test_an_administrator_who_was_there_keeps_groups_shell_and_name(host: Any) -> None:
    account = {**CAROL, "groups": ["physics"]}
    plan = host([ADMIN], ADMIN_GROUPS, accounts=[account])
    assert plan.changes() == {
        "account:carol": [
            "carol (uid 1000) is there already",
            "home '/var/home/carol' becomes '/home/carol'",
            "joins group physics",
        ]
    }
    assert plan.unaccepted() == plan.changes()
    accepted = host([ADMIN], ADMIN_GROUPS, accounts=[account], accepted=["account:carol"])
    assert accepted.unaccepted() == {}
    assert accepted.commands() == [["usermod", "--home", "/home/carol", "carol"]]
    accepted.note()
    before = {"uid": 1000, "gid": 1000, "comment": "Carol", "home": "/var/home/carol", "shell": "/bin/zsh"}
    assert accepted.record.users == {"carol": {**before, "groups": ["adm", "sudo"]}}
    assert accepted.record.joined == {"carol": ["physics"]}


def test_an_account_that_agrees_needs_nothing_and_is_not_ours(host: Any) -> None:
    agreeing: Passwd = ("carol", 1000, 1000, "Carol", "/home/carol", "/bin/zsh")
    plan = host([agreeing], ADMIN_GROUPS, accounts=[CAROL], groups=[])
    assert (steps(plan), plan.changes()) == ([], {})
    plan.note()
    plan.record.write()
    assert plan.record.users == {}
    # Neither leaving the inventory nor a reset removes it.
    record = {"users": {}, "groups": {}, "joined": {}}
    assert steps(host([agreeing], ADMIN_GROUPS, record, accounts=[], groups=[])) == []
    assert steps(host([agreeing], ADMIN_GROUPS, record, accounts=[CAROL], groups=[], reset=True)) == []


def test_who_was_there_gets_the_recorded_state_back(host: Any) -> None:
    before = {"uid": 1000, "gid": 100, "comment": "Carol", "home": "/var/home/carol", "shell": "/bin/zsh"}
    record = {
        "users": {"carol": {**before, "groups": ["adm", "sudo"]}},
        "groups": {"carol": None, "physics": None},
        "joined": {"carol": ["physics"]},
    }
    now: Passwd = ("carol", 1000, 1000, "Carol", "/home/carol", "/bin/zsh")
    groups = [("carol", 1000, ""), ("sudo", 27, "carol"), ("adm", 4, ""), ("physics", 20001, "carol")]
    plan = host([now], groups, record, accounts=[CAROL], reset=True)
    assert plan.restorations() == [
        ["usermod", "--gid", "100", "--home", "/var/home/carol", "carol"],
        ["gpasswd", "--delete", "carol", "physics"],
        ["gpasswd", "--add", "carol", "adm"],
    ]
    assert plan.removals() == [["groupdel", "carol"], ["groupdel", "physics"]]


def test_a_group_that_was_there_is_changed_only_if_accepted_and_keeps_its_members(host: Any) -> None:
    plan = host(groups=[PHYSICS], accounts=[])
    assert plan.changes() == {}
    there = [("physics", 5000, "zoe")]
    plan = host([], there, groups=[PHYSICS], accounts=[])
    assert list(plan.unaccepted()) == ["group:physics"]
    accepted = host([], there, groups=[PHYSICS], accounts=[], accepted=["group:physics"])
    assert accepted.commands() == [["groupmod", "--gid", "20001", "physics"]]
    accepted.note()
    assert accepted.record.groups == {"physics": {"gid": 5000, "members": ["zoe"]}}
    record = {"groups": accepted.record.groups}
    restored = host([], [("physics", 20001, "zoe")], record, groups=[], accounts=[])
    assert steps(restored) == [["groupmod", "--gid", "5000", "physics"]]


def test_numbers_of_others_are_refused_by_name(host: Any) -> None:
    plan = host([("mallory", 10001, 1, "", "/", "/bin/sh")], [("games", 20001, "")])
    assert plan.conflicts() == [
        "uid 10001 of alice belongs to mallory on this host",
        "gid 20001 of physics belongs to games on this host",
    ]


def test_a_group_that_nobody_defines_is_refused(host: Any) -> None:
    assert host(groups=[]).conflicts() == ["alice is in group physics, which does not exist"]


@pytest.mark.parametrize("entries", [[], [{"name": "bob", "uid": 10002, "state": "absent"}]])
def test_who_is_no_longer_named_leaves_and_the_number_is_free_at_once(host: Any, entries: Any) -> None:
    bob: Passwd = ("bob", 10002, 10002, "", "/home/bob", "/bin/bash")
    record = {"users": {"bob": None}, "groups": {"bob": None}}
    successor = {"name": "eve", "uid": 10002}
    plan = host([bob], [("bob", 10002, "")], record, accounts=[successor, *entries], groups=[])
    assert plan.conflicts() == []
    assert plan.removals() == [["userdel", "bob"]]


def test_who_was_there_is_never_removed_even_if_absent_is_asked_for(host: Any) -> None:
    absent = [{**CAROL, "state": "absent"}]
    assert steps(host([ADMIN], ADMIN_GROUPS, {"users": {}}, accounts=absent, groups=[])) == []


def test_what_versions_without_a_record_made_is_ours(host: Any) -> None:
    shadow = "root:*:1::::::\nalice:!*:1::::::\ncarol:!:1::::::\n"
    plan = host([OURS, ADMIN], [*GROUPS, *ADMIN_GROUPS], shadow=shadow, accounts=[ALICE, CAROL])
    assert plan.made == {"alice"}
    assert plan.made_groups == {"alice", "physics"}


def test_the_user_of_ansible_loses_no_group_and_is_not_removed(host: Any) -> None:
    groups = [("carol", 1000, ""), ("wheel", 900, "carol")]
    wheel = [{"name": "wheel", "gid": 900}]
    plan = host([ADMIN], groups, accounts=[CAROL], groups=wheel, operator="carol")
    assert plan.surplus_groups(CAROL) == []
    record = {"users": {"carol": None}}
    assert host([ADMIN], groups, record, accounts=[], operator="carol").conflicts() == [
        "carol would be removed, but platformctl logs in as carol"
    ]
    locked_out = host(
        [ADMIN], groups, accounts=[{**CAROL, "shell": "/usr/sbin/nologin"}], operator="carol"
    ).conflicts()
    assert locked_out == ["carol would get the shell /usr/sbin/nologin, but platformctl logs in as carol"]


def test_users_of_a_directory_are_not_created_twice(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    def listed(kind: Any, entries: dict[str, Any]) -> Callable[[str], Any]:
        return lambda name: entries[name]

    alice = pwd.struct_passwd(("alice", "x", 10001, 10001, "", "/home/alice", "/bin/bash"))
    monkeypatch.setattr(pwd, "getpwnam", listed(pwd, {"alice": alice}))
    monkeypatch.setattr(grp, "getgrnam", listed(grp, {"alice": grp.struct_group(("alice", "x", 10001, []))}))
    monkeypatch.setattr(pwd, "getpwuid", listed(pwd, {10001: alice}))  # type: ignore[dict-item]
    monkeypatch.setattr(grp, "getgrgid", listed(grp, {}))

    def plan(uid: int, home: Path) -> Any:
        made = host(accounts=[{**ALICE, "uid": uid}])
        made.database.sources = ["sss"]
        return made

    same = plan(10001, Path())
    assert same.conflicts() == []
    assert same.creation() == ["g physics 20001"]
    assert same.commands() == [["gpasswd", "--add", "alice", "physics"]]
    assert plan(10007, Path()).conflicts() == [
        "alice comes from sss with uid 10001 and gid 10001, the inventory says 10007",
        "group alice comes from sss with gid 10001, not 10007",
    ]


def test_sources_beside_the_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "nsswitch.conf").write_text(
        "passwd: files systemd sss [NOTFOUND=return]\ngroup: files ldap\n"
    )
    assert database.Database(tmp_path).sources == ["sss", "ldap"]


def test_processes_of_a_user_hinder_a_new_number_and_a_removal(host: Any) -> None:
    # This process, whoever runs the tests.
    mine = os.getuid()
    me: Passwd = ("me", mine, mine, "", "/home/me", "/bin/bash")
    moved = host([me], [], {"users": {"me": None}}, accounts=[{"name": "me", "uid": 10009}], groups=[])
    assert any("the uid of me cannot become 10009 while me" in words for words in moved.conflicts())
    gone = host([me], [], {"users": {"me": None}}, accounts=[], groups=[])
    assert str(os.getpid()) in {words.split()[0] for words in gone.busy()["me"]}
    assert gone.removals(kept=["me"]) == []


def test_the_first_state_is_kept_for_ever(host: Any) -> None:
    plan = host([ADMIN], ADMIN_GROUPS, accounts=[CAROL], groups=[], accepted=["account:carol"])
    plan.note()
    plan.record.write()
    later: Passwd = ("carol", 1000, 1000, "Carol", "/home/carol", "/bin/dash")
    again = host([later], ADMIN_GROUPS, accounts=[{**CAROL, "shell": "/bin/zsh"}], groups=[])
    again.note()
    assert again.record.users["carol"]["home"] == "/var/home/carol"
    assert again.record.users["carol"]["shell"] == "/bin/zsh"
    assert oct(again.record._path.stat().st_mode & 0o777) == "0o600"


class Locks:
    """The C library's lock of the files of users, which is free."""

    def lckpwdf(self) -> int:
        return 0

    def ulckpwdf(self) -> int:
        return 0


def test_a_home_is_changed_while_its_user_is_logged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.ctypes, "CDLL", lambda *_, **__: Locks())
    (tmp_path / "passwd").write_text("root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000:C:/var/carol:/bin/zsh\n")
    database.write_home("carol", "/home/carol", tmp_path)
    assert (tmp_path / "passwd").read_text().splitlines() == [
        "root:x:0:0::/root:/bin/sh",
        "carol:x:1000:1000:C:/home/carol:/bin/zsh",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]


def shadow_of(day: str) -> str:
    return f"alice:!*:20000:0:99999:7::{day}:\n"


def test_the_account_of_a_disabled_user_expires_and_comes_back_as_it_was(host: Any) -> None:
    plan = host([OURS], GROUPS, RECORD, shadow_of("30000"), disabled=["alice"])
    assert plan.expiries() == [["usermod", "--expiredate", "1", "alice"]]
    plan.note()
    assert plan.record.expired == {"alice": "30000"}
    disabled = {**RECORD, "expired": {"alice": "30000"}}
    assert host([OURS], GROUPS, disabled, shadow_of("1"), disabled=["alice"]).expiries() == []
    again = host([OURS], GROUPS, disabled, shadow_of("1"))
    assert again.expiries() == [["usermod", "--expiredate", "30000", "alice"]]


def test_a_new_user_who_is_disabled_expires_after_being_made(host: Any) -> None:
    plan = host(disabled=["alice"])
    assert plan.creation() != []
    assert plan.expiries() == [["usermod", "--expiredate", "1", "alice"]]


def test_a_disabled_user_who_leaves_is_only_removed(host: Any) -> None:
    record = {**RECORD, "expired": {"alice": ""}}
    plan = host([OURS], GROUPS, record, shadow_of("1"), accounts=[], disabled=["alice"])
    assert plan.removals()[0] == ["userdel", "alice"]
    assert plan.expiries() == []


def test_what_a_login_runs_is_told_from_a_job(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert not database._in_job(child.pid)
    finally:
        child.kill()
        child.wait()
    # A process whose parent has the name of a job's step.
    step = tmp_path / "slurmstepd"
    step.symlink_to("/bin/sh")
    parent = subprocess.Popen([step, "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout
        assert database._in_job(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.wait()
