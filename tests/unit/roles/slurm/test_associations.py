"""What sacctmgr has to be told."""

from tests.ansible_files import load

module = load("roles/slurm_controller/library/slurm_associations.py")
commands = module.commands
EMPTY = {"clusters": set(), "associations": set(), "defaults": {}}


def have(*associations, defaults=None):
    accounts = {(account, "") for account, _ in associations}
    return {
        "clusters": {"c"},
        "associations": accounts | set(associations),
        "defaults": defaults or {user: account for account, user in associations},
    }


def test_a_fresh_cluster_gets_accounts_and_users():
    assert commands("c", {"alice": "physics", "bob": "physics", "carol": "maths"}, [], EMPTY) == [
        ["add", "cluster", "c"],
        ["add", "account", "maths,physics", "cluster=c"],
        ["add", "user", "carol", "account=maths", "defaultaccount=maths", "cluster=c"],
        ["add", "user", "alice,bob", "account=physics", "defaultaccount=physics", "cluster=c"],
    ]


def test_nothing_is_said_when_nothing_differs():
    assert commands("c", {"alice": "physics"}, [], have(("physics", "alice"))) == []


def test_foreign_associations_are_left_alone():
    assert commands("c", {"alice": "physics"}, [], have(("physics", "alice"), ("guests", "zoe"))) == []


def test_a_new_default_account_is_set_and_the_old_association_stays():
    assert commands("c", {"alice": "maths"}, [], have(("physics", "alice"))) == [
        ["add", "account", "maths", "cluster=c"],
        ["add", "user", "alice", "account=maths", "defaultaccount=maths", "cluster=c"],
        ["modify", "user", "where", "name=alice", "cluster=c", "set", "defaultaccount=maths"],
    ]


def test_removed_users_are_deleted_once():
    state = have(("physics", "alice"), ("physics", "bob"))
    assert commands("c", {"bob": "physics"}, ["alice"], state) == [
        ["delete", "user", "where", "name=alice", "cluster=c"]
    ]
    assert commands("c", {"bob": "physics"}, ["alice"], have(("physics", "bob"))) == []


def test_a_thousand_users_of_five_accounts_take_seven_commands():
    wanted = {f"u{number:04}": f"a{number % 5}" for number in range(1000)}
    assert len(commands("c", wanted, [], EMPTY)) == 7


def test_limits_that_differ_are_set_in_one_command():
    limiting = module.limiting
    wanted = {"MaxSubmitJobsPerUser": 20000, "MaxJobsPerUser": -1, "MaxTRESPerAccount": "cpu=8"}
    assert limiting(wanted, {"MaxSubmitJobsPerUser": "20000", "MaxTRESPerAccount": "cpu=8"}) == []
    (command,) = limiting(wanted, {"MaxJobsPerUser": "5"})
    assert command[:5] == ["modify", "qos", "where", "name=normal", "set"]
    assert command[5:] == ["MaxJobsPerUser=-1", "MaxSubmitJobsPerUser=20000", "MaxTRESPerAccount=cpu=8"]


def test_the_names_of_those_who_got_an_association_are_kept(tmp_path):
    record = tmp_path / "before" / "associations.json"
    module.write(record, ["alice", "bob"])
    assert record.read_text() == '["alice", "bob"]\n'
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    module.write(record, [])
    assert record.read_text() == "[]\n"


def test_a_disabled_user_may_submit_nothing_and_gets_the_old_limit_back():
    where = ["modify", "user", "where", "name=bob"]
    have = {"bob": {"physics": "500", "maths": ""}}
    found, kept = module.stopping("c", ["bob"], have, {})
    assert found == [
        [*where, "account=maths", "cluster=c", "set", "grpsubmitjobs=0"],
        [*where, "account=physics", "cluster=c", "set", "grpsubmitjobs=0"],
    ]
    assert kept == {"bob": {"physics": "500", "maths": ""}}
    stopped = {"bob": {"physics": "0", "maths": "0"}}
    assert module.stopping("c", ["bob"], stopped, kept) == ([], kept)
    found, kept = module.stopping("c", [], stopped, kept)
    assert found == [
        [*where, "account=maths", "cluster=c", "set", "grpsubmitjobs=-1"],
        [*where, "account=physics", "cluster=c", "set", "grpsubmitjobs=500"],
    ]
    assert kept == {}


def test_a_disabled_user_without_associations_needs_no_limit():
    assert module.stopping("c", ["bob"], {}, {}) == ([], {"bob": {}})
