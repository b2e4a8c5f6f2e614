"""Small sites, and a stand-in for ssh: each host is a folder on this machine."""

import asyncio
import base64
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.engine.planning import record
from platformctl.engine.remote import Reply


def make_fleet(
    hosts: Mapping[str, tuple[str, ...]],
    variables: Mapping[str, Any] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    inventory: Path = Path("/tmp/inventory"),
) -> Fleet:
    """hosts: groups by host; variables: of all hosts; own: of single hosts."""
    found = {
        name: Host(
            name,
            frozenset({"all", *groups}),
            {"ansible_host": f"192.0.2.{number}", **(variables or {}), **(own or {}).get(name, {})},
            Connection(f"192.0.2.{number}", user="root"),
        )
        for number, (name, groups) in enumerate(hosts.items(), start=11)
    }
    names = {group for groups in hosts.values() for group in groups}
    groups = {group: tuple(name for name in hosts if group in hosts[name]) for group in names}
    return Fleet("test", inventory, found, groups)


class Hosts:
    """Runs the engine's scripts with a host's own folder in place of /var/lib/platformctl."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.down: set[str] = set()
        self.scripts: list[tuple[str, str]] = []

    def folder(self, address: str) -> Path:
        return self.root / address

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        self.scripts.append((connection.address, script))
        if connection.address in self.down:
            return Reply(255, "", "ssh: connect: No route to host")
        script, data = (self._of_host(connection.address, text) for text in (script, data))
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(data.encode())
        return Reply(process.returncode or 0, out.decode(), err.decode())

    async def run_all(self, hosts: Any, scripts: Mapping[str, str], data: str = "") -> dict[str, Reply]:
        return {host.name: await self.run(host.connection, scripts[host.name], data) for host in hosts}

    def _of_host(self, address: str, text: str) -> str:
        """The same text for the host's own folder, also within the packed files of a program."""

        def repack(found: re.Match[str]) -> str:
            sources = json.loads(zlib.decompress(base64.b64decode(found[1])))
            own = {name: self._of_host(address, source) for name, source in sources.items()}
            return f"PACKED = {base64.b64encode(zlib.compress(json.dumps(own).encode())).decode()!r}"

        text = re.sub(r"^PACKED = '([^']*)'", repack, text, flags=re.MULTILINE)
        return text.replace(record.FOLDER, str(self.folder(address)))
