"""Hosts that were installed under another name than the inventory has now."""

import json
from pathlib import Path

import pytest

from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import identity, record
from platformctl.engine.planning.record import Records
from platformctl.engine.running import install
from platformctl.engine.running.install import Installation, Options
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import Hosts, make_fleet

HOSTS = {"n1": ("node",), "n2": ("node",)}
FLEET = make_fleet(HOSTS)


def named(**names: str) -> Records:
    return Records({host: {"identity": {"name": name}, "node": {}} for host, name in names.items()})


async def test_a_host_remembers_the_name_it_was_installed_under(hosts: Hosts) -> None:
    records = Records({})
    await records.begin(FLEET.hosts["n1"], "node")
    written = json.loads((hosts.folder("192.0.2.11") / "digests.json").read_text())
    assert written["identity"] == {"name": "n1", "address": "192.0.2.11"}
    read = await record.read(FLEET, ("n1", "n2"))
    assert (read.name("n1"), read.name("n2")) == ("n1", "")
    assert "n1" in read.sizes


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (named(n1="n1", n2="n2"), {}),
        (Records({"n1": {"node": {}}, "n2": {}}), {}),  # installed before names were kept
        (named(n1="old1", n2="n2"), {"n1": "old1"}),
        (named(n1="n2", n2="n1"), {"n1": "n2", "n2": "n1"}),
    ],
)
def test_other_names_are_found(records: Records, expected: dict[str, str]) -> None:
    assert identity.renamed(FLEET, records, HOSTS) == expected


def test_the_remedies_are_commands_for_each_case() -> None:
    (renamed,) = identity.remedies(FLEET, {"n1": "old1"})
    assert "n1 at 192.0.2.11 was installed as old1" in renamed
    assert "platformctl node remove -i /tmp/inventory old1, then platformctl install" in renamed
    swapped = identity.remedies(FLEET, {"n1": "n2", "n2": "n1"})
    assert "the address of n1, was installed as n2: correct the addresses of n1 and n2" in swapped[0]
    assert "platformctl reset -i /tmp/inventory --limit n1,n2" in swapped[0]


async def test_nothing_is_done_to_a_host_with_another_name(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hosts.folder("192.0.2.12")
    folder.mkdir(parents=True)
    (folder / "digests.json").write_text(json.dumps({"identity": {"name": "old2"}, "node": {"begun": "x"}}))
    before = {path: path.read_text() for path in folder.iterdir()}
    monkeypatch.setattr(Fleet, "state", tmp_path / "state")
    monkeypatch.setattr(install, "Execution", None)
    stages = (Stage("node", "node"),)
    from platformctl.console import Format, Output

    with pytest.raises(PlatformError) as refused:
        await Installation(FLEET, Options(yes=True), stages, tmp_path).run(Output(Format.JSON))
    assert refused.value.code == ExitCode.REFUSED
    assert "was installed as old2" in str(refused.value)
    assert {path: path.read_text() for path in folder.iterdir() if path.is_file()} == before
