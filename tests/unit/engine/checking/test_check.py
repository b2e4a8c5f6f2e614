import json
from dataclasses import replace
from pathlib import Path

import pytest

from platformctl import paths
from platformctl.engine import remote
from platformctl.engine.checking import network
from platformctl.engine.checking.check import check
from platformctl.engine.checking.preflight import Finding
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

    async def fine(*_: object) -> list[Finding]:
        return []

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(network, "check", fine)
    groups, own = {"n1": ("registry",)}, {"n1": {"registry_port": 5001}}
    usual = await check(make_fleet(groups), ("n1",), paths.data_dir())
    assert [finding.check for finding in usual.errors("n1")] == ["port"]
    moved = await check(make_fleet(groups, own=own), ("n1",), paths.data_dir())
    assert moved.errors("n1") == []


async def _no_network(*_: object) -> list[Finding]:
    return []


@pytest.mark.parametrize(
    ("line", "errors"), [("Welcome to node1", 0), ('{"banner": true}', 1)], ids=["harmless", "like an answer"]
)
async def test_lines_of_a_login_shell_are_named(
    line: str, errors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return Reply(0, json.dumps(PROBE), "", noise=(line,))

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(network, "check", _no_network)
    verdict = await check(make_fleet({"n1": ()}), ("n1",), paths.data_dir())
    found = [finding for finding in verdict.findings if finding.check == "login shell"]
    assert line in found[0].found
    assert ".bashrc" in found[0].remedy
    assert len(verdict.errors("n1")) == errors
    assert verdict.unreachable == set()


@pytest.mark.parametrize("out", ["", "Welcome", "[]", '{"half": '])
async def test_a_probe_that_is_not_understood_concerns_its_host_alone(
    out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        sound = json.dumps({**PROBE, "hostname": "n2", "addresses": ["192.0.2.12"]})
        return Reply(0, out if connection.address.endswith("11") else sound, "")

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(network, "check", _no_network)
    verdict = await check(make_fleet({"n1": (), "n2": ()}), ("n1", "n2"), paths.data_dir())
    assert verdict.unreachable == {"n1"}
    assert verdict.errors("n2") == []


async def test_a_login_shell_that_runs_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return Reply(1, "This account is currently not available.\n", "", readable=False)

    monkeypatch.setattr(remote, "run", run)
    verdict = await check(make_fleet({"n1": ()}), ("n1",), paths.data_dir())
    (finding,) = verdict.errors("n1")
    assert finding.check == "login shell"
    assert "This account is currently not available." in finding.found


@pytest.mark.parametrize(("everywhere", "tried"), [(False, ["n2"]), (True, ["n1", "n2"])])
async def test_the_network_is_tried_on_new_hosts_or_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, everywhere: bool, tried: list[str]
) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        return Reply(
            0, json.dumps({**PROBE, "site": "test" if connection.address.endswith("11") else ""}), ""
        )

    asked = []

    async def remember(_: object, names: list[str], data: Path) -> list[Finding]:
        asked.extend(names)
        return []

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(network, "check", remember)
    await check(make_fleet({"n1": (), "n2": ()}), ("n1", "n2"), paths.data_dir(), everywhere=everywhere)
    assert asked == tried


async def test_peers_are_tried_at_the_ssh_port_of_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        sent.append(data)
        return Reply(0, json.dumps({**PROBE, "site": "test"}), "")

    monkeypatch.setattr(remote, "run", run)
    fleet = make_fleet({"n1": (), "n2": ()})
    moved = replace(fleet.hosts["n2"], connection=replace(fleet.hosts["n2"].connection, port=2222))
    await check(replace(fleet, hosts={**fleet.hosts, "n2": moved}), ("n1",), paths.data_dir())
    assert '"peers": {"n2": ["192.0.2.12", 2222]}' in sent[-1]


async def test_an_answer_that_is_none_is_a_finding_of_that_host_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        good = json.dumps({**PROBE, "hostname": "n2", "site": "test"})
        return Reply(0, "Welcome!" if connection.address.endswith("11") else good, "")

    monkeypatch.setattr(remote, "run", run)
    verdict = await check(make_fleet({"n1": (), "n2": ()}), ("n1", "n2"), paths.data_dir())
    assert verdict.unreachable == {"n1"}
    assert "Welcome!" in verdict.errors("n1")[0].found
    assert verdict.errors("n2") == []
