"""What a host records about platformctl: the digests of the stages applied to it.

Kept on the host (/var/lib/platformctl, root only), not on the operator's machine, so that every operator sees
the same and a reinstalled host is new again. The marker file `managed` names the site the host belongs to.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import digest
from platformctl.engine.remote import Reply, run, run_all

FOLDER = "/var/lib/platformctl"
_READ = f"cat {FOLDER}/digests.json 2>/dev/null || true"
# The new file is complete before it gets the old one's name, so a host that dies in between keeps the old.
_WRITE = (
    f"umask 077 && mkdir -p {FOLDER} && cat > {FOLDER}/digests.json.new && sync {FOLDER}/digests.json.new"
    f" && mv {FOLDER}/digests.json.new {FOLDER}/digests.json"
)

Stages = dict[str, dict[str, Any]]


@dataclass
class Records:
    """The digests of all reachable hosts; `down` holds why the others could not be read."""

    stages: dict[str, Stages]
    down: dict[str, Reply] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def parts(self, host: str, stage: str) -> Mapping[str, str] | None:
        """The digest parts of a stage that ended well and was not started again; otherwise None."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return entry.get("parts")

    def age(self, host: str, stage: str) -> timedelta:
        """How long ago a stage ended well; a record without a time counts as old."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return datetime.now(UTC) - datetime.fromisoformat(entry.get("at") or "2000-01-01T00:00:00+00:00")

    def begun(self, host: str, stage: str) -> bool:
        """Whether a stage was ever started there, even if it failed."""
        return stage in self.stages.get(host, {})

    async def begin(self, host: Host, stage: str) -> Reply:
        """Record that a stage has started. Until it ends well, the state of the host is unknown."""
        return await self._change(host, lambda stages: stages.__setitem__(stage, {"begun": _now()}))

    async def store(self, host: Host, stage: str, parts: Mapping[str, str]) -> Reply:
        """Record on the host that a stage is applied with these parts."""
        entry = {"digest": digest.value(parts), "parts": dict(parts), "at": _now()}
        return await self._change(host, lambda stages: stages.__setitem__(stage, entry))

    async def _change(self, host: Host, change: Callable[[Stages], None]) -> Reply:
        # Two branches may finish on one host at the same time.
        async with self._locks.setdefault(host.name, asyncio.Lock()):
            stages = self.stages.setdefault(host.name, {})
            change(stages)
            return await run(host.connection, _WRITE, json.dumps(stages, indent=1))


async def read(fleet: Fleet, names: tuple[str, ...]) -> Records:
    """Read the digests of these hosts, all at once."""
    hosts = [fleet.hosts[name] for name in names]
    replies = await run_all(hosts, dict.fromkeys(names, _READ))
    records = Records({})
    for name, reply in replies.items():
        if reply.code != 0:
            records.down[name] = reply
        else:
            records.stages[name] = _parse(reply.out)
    return records


def _parse(text: str) -> Stages:
    """The stages of a digests.json. If it is damaged there are none, so all run again, which is safe."""
    try:
        stages = json.loads(text)
    except ValueError:
        return {}
    return stages if isinstance(stages, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "seconds")
