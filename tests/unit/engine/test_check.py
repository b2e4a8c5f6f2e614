from pathlib import Path

import pytest

from platformctl import paths
from platformctl.engine import remote
from platformctl.engine.check import check
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
