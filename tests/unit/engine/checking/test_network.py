"""The real probe between hosts that are addresses of this machine."""

import asyncio
import json
import socket
import time
from collections.abc import Mapping

import pytest

from platformctl import paths
from platformctl.engine import remote
from platformctl.engine.checking import network
from platformctl.engine.fleet import Connection, Host
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet


class Here:
    """Runs every host's script here; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.blocked: set[int] = set()

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        given = script.partition(" - ")[2].strip("'")
        question = json.loads(given) if given else {}
        self.asked.append(question)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", script), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(data.encode())
        answer = json.loads(out) if given else {}
        for number, (_, _, port) in enumerate(question.get("try", [])):
            if port in self.blocked:
                answer["tried"][number] = "no answer"
        return Reply(process.returncode or 0, json.dumps(answer), "")

    async def run_all(
        self, hosts: list[Host], scripts: Mapping[str, str], data: str = ""
    ) -> dict[str, Reply]:
        return {host.name: await self.run(host.connection, scripts[host.name], data) for host in hosts}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    found = Here()
    monkeypatch.setattr(remote, "run", found.run)
    monkeypatch.setattr(remote, "run_all", found.run_all)
    return found


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


async def findings(port: int) -> list[str]:
    fleet = make_fleet(
        {"ctl1": ("registry",), "n1": ("containerd",)},
        own={
            "ctl1": {"base_address": "127.0.0.1", "registry_port": port},
            "n1": {"base_address": "127.0.0.1"},
        },
    )
    found = await network.check(fleet, fleet.hosts, paths.data_dir())
    return [finding.found for finding in found if finding.check in ("reach", "firewall")]


def reachable(port: int) -> bool:
    time.sleep(0.3)  # a listener that was told to end may take a moment
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def test_a_free_port_is_listened_on_tried_and_closed_again(here: Here, port: int) -> None:
    assert await findings(port) == []
    assert [entry for question in here.asked for entry in question.get("try", [])] == [
        ["tcp", "127.0.0.1", port]
    ]
    assert not reachable(port)


async def test_a_port_in_use_is_tried_as_it_is(here: Here, port: int) -> None:
    with socket.create_server(("", port)):
        assert await findings(port) == []
        assert reachable(port)


async def test_a_firewall_is_named_at_both_ends(here: Here, port: int) -> None:
    here.blocked = {port}
    assert await findings(port) == [
        f"cannot reach ctl1 on TCP {port} (the registry): no answer",
        f"TCP {port} (the registry) cannot be reached from n1: no answer",
    ]
    assert not reachable(port)


async def test_without_hosts_nobody_is_asked(here: Here) -> None:
    fleet = make_fleet({"n1": ("slurm_node",), "n2": ("slurm_node",)})
    assert await network.check(fleet, (), paths.data_dir()) == []
    assert here.asked == []
