import json
from pathlib import Path

import pytest

from platformctl import paths
from platformctl.engine import remote
from platformctl.engine.checking.check import check
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from tests.unit.engine.checking.test_preflight import PROBE
from tests.unit.engine.sites import Hosts, make_fleet


async def test_a_host_that_does_not_answer_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = Hosts(tmp_path)
    hosts.down = {"192.0.2.11"}
    monkeypatch.setattr(remote, "run", hosts.run)
    verdict = await check(make_fleet({"n1": ()}), ("n1",), paths.data_dir())
    assert verdict.unreachable == {"n1"}
    assert [finding.found for finding in verdict.findings] == ["ssh: connect: No route to host"]
    assert hosts.scripts == [("192.0.2.11", "true")]


async def test_hosts_are_judged_by_their_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return Reply(0, json.dumps({**PROBE, "listening": [5000]}), "")

    monkeypatch.setattr(remote, "run", run)
    groups, own = {"n1": ("registry",)}, {"n1": {"registry_port": 5001}}
    usual = await check(make_fleet(groups), ("n1",), paths.data_dir())
    assert [finding.check for finding in usual.errors("n1")] == ["port"]
    moved = await check(make_fleet(groups, own=own), ("n1",), paths.data_dir())
    assert moved.errors("n1") == []
