"""In which order members of etcd are defragmented, and when nothing is done."""

import json
from typing import Any

import pytest

from tests.unit.roles.kubernetes.plugins import load

helper = load("roles/kubernetes_control_plane/files/etcd_defragment.py")
MIB = 2**20


class Etcd:
    """Members by name, with the sizes of the file and of what is in use, in MiB. calls: the changes."""

    def __init__(self, leader: str = "b", **sizes: tuple[int, int]) -> None:
        self.sizes = dict(sizes)
        self.leader = leader
        self.calls: list[str] = []
        self.away: set[str] = set()
        self.unstarted = False
        self.alarm = ""

    def __call__(self, *words: str) -> str:
        if words[:2] == ("member", "list"):
            found = [
                {"name": "" if self.unstarted else name, "clientURLs": [f"https://{name}"]}
                for name in reversed(self.sizes)
            ]
            return json.dumps({"members": found})
        if words[:2] == ("endpoint", "status"):
            return json.dumps([self._status(url) for url in words[2].partition("=")[2].split(",")])
        if words[:2] == ("alarm", "list"):
            return self.alarm
        self.calls.append(" ".join(words[:2]))
        if words[0] == "defrag":
            name = words[1].rpartition("/")[2]
            self.sizes[name] = (self.sizes[name][1], self.sizes[name][1])
        else:
            self.alarm = ""
        return ""

    def _status(self, url: str) -> dict[str, Any]:
        name = url.removeprefix("https://")
        if name in self.away:
            raise helper.NotWellError(f"{name} does not answer")
        size, used = self.sizes[name]
        state = {"dbSize": size * MIB, "dbSizeInUse": used * MIB, "dbSizeQuota": 1000 * MIB}
        return {"Endpoint": url, "Status": {"header": {"member_id": name}, "leader": self.leader, **state}}


def test_one_after_the_other_and_the_leader_last() -> None:
    etcd = Etcd(a=(900, 100), b=(900, 100), c=(900, 100))
    said = helper.defragment(etcd, "a")
    assert etcd.calls == [f"defrag --endpoints=https://{name}" for name in "acb"]
    assert said[0] == "https://a: from 900 to 100 MiB"


def test_only_the_first_member_by_name_does_it() -> None:
    etcd = Etcd(a=(900, 100), b=(900, 100))
    assert helper.defragment(etcd, "b") == ["a does this for all members"]
    assert etcd.calls == []


def test_what_is_not_worth_it_is_left_alone() -> None:
    etcd = Etcd(a=(900, 850), b=(60, 20), c=(300, 100))
    helper.defragment(etcd, "a")
    assert etcd.calls == ["defrag --endpoints=https://c"]
    assert helper.defragment(Etcd(a=(10, 1)), "a") == ["no member has enough to give back"]


def test_nothing_is_done_while_a_member_is_away_or_has_not_started() -> None:
    etcd = Etcd(a=(900, 100), b=(900, 100), c=(900, 100))
    etcd.away = {"c"}
    with pytest.raises(helper.NotWellError):
        helper.defragment(etcd, "a")
    etcd.away, etcd.unstarted = set(), True
    with pytest.raises(helper.NotWellError, match="has not started"):
        helper.defragment(etcd, "a")
    assert etcd.calls == []


def test_a_full_database_is_no_reason_to_stop_and_a_missing_leader_is() -> None:
    assert helper.is_well({"errors": ["memberID:1 alarm:NOSPACE "]})
    assert helper.is_well({})
    assert not helper.is_well({"errors": ["etcdserver: no leader"]})


def test_it_stops_when_a_member_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "WAIT_SECONDS", 0.0)
    etcd = Etcd(a=(900, 100), b=(900, 100), c=(900, 100))
    ask = etcd.__call__

    def then_away(*words: str) -> str:
        answer = ask(*words)
        if words[0] == "defrag":
            etcd.away = {"a"}
        return answer

    with pytest.raises(helper.NotWellError):
        helper.defragment(then_away, "a")
    assert etcd.calls == ["defrag --endpoints=https://a"]


def test_the_alarm_is_cleared_only_where_there_is_room_again() -> None:
    etcd = Etcd(a=(1000, 100))
    etcd.alarm = "memberID:1 alarm:NOSPACE"
    assert helper.defragment(etcd, "a")[-1] == "the alarm of a full database is cleared"
    assert etcd.calls == ["defrag --endpoints=https://a", "alarm disarm"]
    full = Etcd(a=(1000, 990))
    full.alarm = "memberID:1 alarm:NOSPACE"
    assert "still full" in helper.defragment(full, "a")[-1]
    assert full.calls == []
