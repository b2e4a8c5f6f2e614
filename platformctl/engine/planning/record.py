"""What a host records about platformctl: the digests of the stages applied to it, and its name.

Kept on the host (/var/lib/platformctl, root only), not on the operator's machine, so that every operator sees
the same and a reinstalled host is new again. The marker file `managed` names the site the host belongs to.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import digest, fingerprints, ownership, sizes
from platformctl.engine.planning.sizes import Size
from platformctl.engine.remote import Reply, run, run_all
from platformctl.engine.stages import Stage

FOLDER = "/var/lib/platformctl"
_MARK = "-- further --"
DIGESTS = f"{FOLDER}/digests.json"
# Not a stage: what the host is in the inventory, written with every change of its record.
_IDENTITY = "identity"
# A host without the file says so: an answer of nothing would look like a host that has nothing.
_READ = f"{ownership.ASK}; {sizes.ASK}; [ -e {DIGESTS} ] || {{ echo '{{}}'; exit; }}; cat {DIGESTS}"
# The new file is complete before it gets the old one's name, so a host that dies in between keeps the old.
_WRITE = (
    f"umask 077 && mkdir -p {FOLDER} && cat > {FOLDER}/digests.json.new && sync {FOLDER}/digests.json.new"
    f" && mv {FOLDER}/digests.json.new {FOLDER}/digests.json"
)

_LONG_AGO = "2000-01-01T00:00:00+00:00"

Stages = dict[str, dict[str, Any]]

ANY = "*"
"""In place of a stage's name: the record was damaged, so every stage may have been applied."""


@dataclass
class Records:
    """The digests of all reachable hosts; `down` holds why the others could not be read.

    said: what hosts answered to a further script that they were asked in the same round trip.
    sizes: what the hosts have now. damaged: hosts whose record is there and cannot be understood. What they
    have is unknown. away: stages that are out of service, since the host belongs to the other scheduler.
    """

    stages: dict[str, Stages]
    down: dict[str, Reply] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    away: dict[str, frozenset[str]] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def parts(self, host: str, stage: str) -> Mapping[str, str] | None:
        """The digest parts of a stage that ended well and was not started again; otherwise None."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return entry.get("parts")

    def shown(self, host: str, stage: str) -> Mapping[str, str]:
        """The values of variables that the stage had when it ended well the last time; see shown.py."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return entry.get("shown") or {}

    def before(self, host: str, stage: str) -> Mapping[str, str] | None:
        """The digest parts with which a stage ended well the last time, before it was started again."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return entry.get("parts") or entry.get("before")

    @property
    def applied(self) -> dict[str, set[str]]:
        """The stages that ended well and are in service, by host that was read."""
        return {
            host: {stage for stage, entry in stages.items() if entry and entry.get("parts") is not None}
            - self.away.get(host, frozenset())
            for host, stages in self.stages.items()
        }

    def shared(self, stage: Stage, fleet: Fleet) -> Mapping[str, str]:
        """The parts as the first host of the stage recorded them; empty if it recorded none."""
        first = next(iter(stage.targets(fleet)), "")
        return self.parts(first, stage.name) or {}

    def age(self, host: str, stage: str) -> timedelta:
        """How long ago a stage ended well; a record without a time counts as old."""
        entry = self.stages.get(host, {}).get(stage) or {}
        return datetime.now(UTC) - datetime.fromisoformat(entry.get("at") or _LONG_AGO)

    def name(self, host: str) -> str:
        """The name under which the host was installed; empty if it has nothing, or does not know."""
        return str(self.stages.get(host, {}).get(_IDENTITY, {}).get("name", ""))

    def begun(self, host: str, stage: str) -> bool:
        """Whether a stage was ever started there, even if it failed, or may have been."""
        return not {stage, ANY}.isdisjoint(self.stages.get(host, {}))

    @cached_property
    def salt(self) -> str:
        """The salt of the site's fingerprints: the one that its hosts use, or a new one."""
        kept = (entry.get("secrets") or {} for stages in self.stages.values() for entry in stages.values())
        prints = (found for secrets in kept for secret in secrets.values() for found in secret["prints"])
        return next(filter(None, map(fingerprints.salt_of, prints)), "") or fingerprints.new_salt()

    async def begin(self, host: Host, stage: str, prints: Mapping[str, str] = MappingProxyType({})) -> Reply:
        """Record that a stage has started. Until it ends well, the state of the host is unknown.

        prints: fingerprints of the secrets that it uses, by variable.
        """

        def change(stages: Stages) -> None:
            earlier = self.before(host.name, stage)
            secrets = fingerprints.begun(stages.get(stage) or {}, prints, _now())
            stages[stage] = {"begun": _now(), "secrets": secrets}
            if earlier is not None:
                stages[stage]["before"] = dict(earlier)

        return await self._change(host, change)

    async def store(
        self,
        host: Host,
        stage: str,
        parts: Mapping[str, str],
        prints: Mapping[str, str] = MappingProxyType({}),
        shown: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        """Record on the host that a stage is applied with these parts and secrets.

        shown: values of variables that a plan may show later.
        """

        def change(stages: Stages) -> None:
            secrets = fingerprints.ended(stages.get(stage) or {}, prints, _now())
            entry = {"digest": digest.value(parts), "parts": dict(parts), "at": _now(), "secrets": secrets}
            stages[stage] = entry | ({"shown": dict(shown)} if shown else {})

        return await self._change(host, change)

    async def forget(self, host: Host, gone: Iterable[str]) -> Reply:
        """Record that these stages were undone."""
        names = tuple(gone)
        return await self._change(host, lambda stages: [stages.pop(name, None) for name in names])

    async def _change(self, host: Host, change: Callable[[Stages], object]) -> Reply:
        # Two branches may finish on one host at the same time.
        async with self._locks.setdefault(host.name, asyncio.Lock()):
            stages = self.stages.setdefault(host.name, {})
            change(stages)
            stages[_IDENTITY] = {"name": host.name, "address": host.connection.address}
            return await run(host.connection, _WRITE, json.dumps(stages, indent=1))


async def read(fleet: Fleet, names: tuple[str, ...], further: Mapping[str, str] | None = None) -> Records:
    """Read the digests of these hosts, all at once. further: a script that a host runs after that."""
    hosts = [fleet.hosts[name] for name in names]
    asked = further or {}
    scripts = {
        name: f"{_READ}; echo; echo {_MARK}\n{asked[name]}" if name in asked else _READ for name in names
    }
    replies = await run_all(hosts, scripts)
    records = Records({})
    for name, reply in replies.items():
        if reply.code != 0:
            records.down[name] = reply
            continue
        answer, _, records.said[name] = reply.out.partition(f"\n{_MARK}\n")
        away, answer = ownership.split(answer)
        if away:
            records.away[name] = away
        size, text = sizes.split(answer)
        if size:
            records.sizes[name] = size
        try:
            records.stages[name] = _parse(text)
        except (ValueError, TypeError, AttributeError):
            records.damaged.add(name)
            # Written back with the next change, so that no later run takes the host for a new one.
            records.stages[name] = {ANY: {"begun": _now()}}
    return records


def _parse(text: str) -> Stages:
    """The stages of a digests.json. ValueError, TypeError or AttributeError: it is damaged."""
    stages: Stages = json.loads(text)
    for entry in stages.values():
        dict(entry.get("parts") or {})
        dict(entry.get("before") or {})
        dict(entry.get("shown") or {})
        datetime.fromisoformat(entry.get("at") or _LONG_AGO)
    return stages


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "seconds")
