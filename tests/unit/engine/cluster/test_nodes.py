"""The nodes of a site: what the inventory says of them, and what the schedulers answer."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading, remote
from platformctl.engine.cluster import device_health, nodes
from platformctl.engine.fleet import Fleet
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet

GROUPS = {
    "ctl1": ("kubernetes_control_plane", "slurm_controller"),
    "n1": ("kubernetes_node", "slurm_node"),
    "n2": ("slurm_node",),
}
TABLE = [
    {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia[0-1]"], "owner": "slurm"},
    {"kind": "gpu", "vendor": "nvidia", "type": "a100", "files": ["/dev/nvidia2"], "owner": "slurm"},
    {"kind": "other", "name": "fpga", "files": ["/dev/xdma[0-1]"], "owner": "kubernetes"},
]
LINES = """\
NodeName=n1 Arch=x86_64 CoresPerSocket=4 CPUAlloc=0 CPUEfctv=2 CPUTot=4 Gres=gpu:a100:3(S:0) \
RealMemory=16000 State=IDLE+DRAIN MemSpecLimit=8000 CpuSpecList=2-3 \
Reason=a bad fan [root@2026-11-29T10:00:00] Comment=(null)
NodeName=n2 CPUAlloc=1 CPUEfctv=8 CPUTot=8 Gres=(null) RealMemory=32000 State=MIXED Partitions=main
"""
ITEMS = {
    "items": [
        {
            "metadata": {"name": "n1"},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "allocatable": {"cpu": "2", "memory": "4194304Ki", "platformctl.io/fpga": "1", "pods": "110"},
            },
        }
    ]
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the schedulers answer; a test changes it."""
    said: dict[str, Any] = {
        "kubectl": Reply(0, json.dumps(ITEMS), ""),
        "scontrol": Reply(0, LINES, ""),
        "cat": Reply(0, json.dumps({"faults": {"/dev/nvidia2": "Xid 79", "/dev/other": "gone"}}), ""),
    }

    async def run(_connection: Any, script: str, **_: Any) -> Reply:
        reply: Reply = said[script.split()[0]]
        return reply

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(loading, "evaluated", lambda fleet: fleet)
    return said


@pytest.fixture
def fleet() -> Fleet:
    made = make_fleet(GROUPS)
    variables: dict[str, Any] = made.hosts["n1"].variables  # type: ignore[assignment]
    variables |= {"node_owner": "shared", "node_devices": json.loads(json.dumps(TABLE))}
    return made


def read(fleet: Fleet, *names: str) -> dict[str, nodes.Node]:
    return {node.name: node for node in asyncio.run(nodes.read(fleet, names))}


@pytest.mark.usefixtures("site")
def test_a_shared_node_has_what_each_scheduler_gives_away(fleet: Fleet) -> None:
    node = read(fleet)["n1"]
    assert node.owner == "shared"
    assert node.slurm == nodes.Offered(
        "idle+drain", "a bad fan [root@2026-11-29T10:00:00]", 2, 8000, {"gpu:a100": 3}
    )
    assert node.kubernetes == nodes.Offered("Ready, cordoned", "", 2, 4096, {"platformctl.io/fpga": 1})


@pytest.mark.usefixtures("site")
def test_rows_of_one_name_share_what_is_offered_under_it(fleet: Fleet) -> None:
    rows = read(fleet)["n1"].devices
    assert [(row.known_as, row.owner, row.count, row.offered) for row in rows] == [
        ("gpu:a100", "slurm", 2, 2),
        ("gpu:a100", "slurm", 1, 1),
        ("platformctl.io/fpga", "kubernetes", 2, 1),
    ]


@pytest.mark.usefixtures("site")
def test_a_node_of_one_scheduler_is_not_looked_for_under_the_other(fleet: Fleet) -> None:
    found = read(fleet)
    assert (found["n2"].owner, found["n2"].kubernetes) == ("slurm", None)
    assert found["ctl1"].kubernetes == nodes.Offered("not there")


@pytest.mark.parametrize(
    "answer",
    [
        Reply(255, "", "no route"),
        Reply(0, "", ""),
        Reply(0, "Nothing here", ""),
        Reply(0, '{"items": 5}', ""),
    ],
)
def test_what_a_scheduler_does_not_answer_is_unknown(
    fleet: Fleet, site: dict[str, Any], answer: Reply
) -> None:
    site["kubectl"] = site["scontrol"] = answer
    node = read(fleet, "n1")["n1"]
    assert node.kubernetes == node.slurm == nodes.Offered("unknown")
    assert {row.offered for row in node.devices} == {None}


@pytest.mark.usefixtures("site")
def test_the_commands(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load", lambda _: fleet)
    run = CliRunner().invoke
    listed = run(app, ["node", "list", "-i", "."], env={"COLUMNS": "200"})
    assert "3 gpu:a100 (slurm)" not in listed.stdout
    assert "2 gpu:a100 (slurm), 1 gpu:a100 (slurm), 1 of 2 platformctl.io/fpga (kubernetes)" in listed.stdout
    document = json.loads(run(app, ["-o", "json", "node", "list", "-i", "."]).stdout)
    assert [node["name"] for node in document] == ["ctl1", "n1", "n2"]
    one = run(app, ["node", "describe", "-i", ".", "n1"], env={"COLUMNS": "200"}).stdout
    assert "idle+drain, 2 CPUs, 7.8 GiB" in one
    assert "a bad fan" in one
    assert "/dev/xdma0 /dev/xdma1" in one
    document = json.loads(run(app, ["-o", "json", "node", "describe", "-i", ".", "n1"]).stdout)
    assert document["devices"][2]["offered"] == 1
    assert [row["faults"] for row in document["devices"]] == [{}, {"/dev/nvidia2": "Xid 79"}, {}]
    assert "faulty: /dev/nvidia2" in one
    rows = [line.split() for line in one.splitlines() if "gpu:a100" in line]
    assert [("fine" in row, "faulty" in row) for row in rows] == [(True, False), (False, True)]


@pytest.mark.parametrize("answer", [Reply(1, "", "no such file"), Reply(0, "[]", ""), Reply(255, "", "")])
def test_the_health_that_a_host_does_not_tell_is_unknown(
    fleet: Fleet, site: dict[str, Any], answer: Reply
) -> None:
    site["cat"] = answer
    node = asyncio.run(device_health.judged(fleet, read(fleet, "n1")["n1"]))
    assert {row.faults for row in node.devices} == {None}


@pytest.mark.usefixtures("site")
def test_devices_that_nothing_judges_have_no_health(fleet: Fleet) -> None:
    fleet.hosts["n1"].variables["node_devices"][2]["health_check"] = "none"
    node = asyncio.run(device_health.judged(fleet, read(fleet, "n1")["n1"]))
    assert [row.faults for row in node.devices] == [{}, {"/dev/nvidia2": "Xid 79"}, None]


def test_a_fault_is_why_a_ready_node_offers_less(fleet: Fleet, site: dict[str, Any]) -> None:
    items = json.loads(json.dumps(ITEMS))
    fault = {"type": "DeviceFault", "status": "True", "message": "platformctl: device fault: xdma0: gone"}
    items["items"][0]["status"]["conditions"].append(fault)
    site["kubectl"] = Reply(0, json.dumps(items), "")
    under = read(fleet)["n1"].kubernetes
    assert under
    assert (under.state, under.reason) == ("Ready, cordoned", fault["message"])


@pytest.mark.usefixtures("site")
def test_a_node_that_is_not_there_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load", lambda _: fleet)
    done = CliRunner().invoke(app, ["node", "describe", "-i", ".", "n9"])
    assert "n9 is no node of the inventory" in str(done.exception)


@pytest.mark.parametrize(
    ("answer", "has_it", "device_of"),
    [
        ("", "slurm", "slurm"),
        ("away  slurm_node\n", "kubernetes", "kubernetes"),
        ("away  slurm_node kubernetes_node\n", "moving", "slurm"),
        (None, "unknown", "slurm"),
    ],
)
def test_a_host_that_can_move_says_whose_it_is(
    fleet: Fleet,
    site: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    has_it: str,
    device_of: str,
) -> None:
    table = [{"kind": "other", "name": "fpga", "files": ["/dev/xdma0"]}]
    variables: dict[str, Any] = fleet.hosts["n1"].variables  # type: ignore[assignment]
    variables |= {"node_owner": "slurm", "node_devices": table}

    async def run_all(hosts: Any, _scripts: Any) -> dict[str, Reply]:
        said = Reply(255, "", "no route") if answer is None else Reply(0, answer, "")
        return {host.name: said for host in hosts}

    monkeypatch.setattr(remote, "run_all", run_all)
    node = read(fleet)["n1"]
    assert node.owner == has_it
    assert node.devices[0].owner == device_of
    assert site
