"""The state of a lab's hosts, from podman and the kernel."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from platformctl.lab import podman
from platformctl.lab.hosts import Host
from platformctl.lab.lifecycle import Lab

_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@dataclass(frozen=True)
class Observed:
    """One host: state is podman's, or `missing`; uptime in seconds and memory in bytes while it runs."""

    host: str
    address: str
    state: str
    uptime: int | None
    memory: int | None

    def as_json(self) -> dict[str, object]:
        """For programs: seconds and bytes."""
        return self.__dict__.copy()

    def as_text(self) -> tuple[str, ...]:
        """For people."""
        uptime = "" if self.uptime is None else _duration(self.uptime)
        memory = "" if self.memory is None else f"{self.memory / 1024**2:.0f} MiB"
        return (self.host, self.address, self.state, uptime, memory)


def observe(lab: Lab) -> list[Observed]:
    """Every host of the lab's inventory, also without a container; a fleet is one row."""
    containers = {c["Names"][0]: c for c in podman.labelled(("ps", "--all"), lab.name)}
    running = [name for name, c in containers.items() if c["State"] == "running"]
    memory = _memory(running)
    rows = []
    by_container: dict[str, list[Host]] = {}
    for host in lab.hosts:
        by_container.setdefault(host.container, []).append(host)
    for name, hosts in by_container.items():
        container = containers.get(name)
        state = container["State"] if container else "missing"
        uptime = None
        if container and state == "running":
            uptime = int(datetime.now(UTC).timestamp() - container["StartedAt"])
        names = _span([host.name for host in hosts])
        addresses = _span([str(host.address) for host in hosts])
        rows.append(Observed(names, addresses, state, uptime, memory.get(name)))
    return rows


def _span(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]} ({len(texts)})"


def _memory(containers: list[str]) -> dict[str, int]:
    if not containers:
        return {}
    stats = podman.query("stats", "--no-stream", *containers)
    return {entry["name"]: _bytes(entry["mem_usage"].split("/")[0].strip()) for entry in stats}


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([\d.]+)\s*(\w+)", text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    )
