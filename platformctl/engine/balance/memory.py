"""Since when nodes are idle and work waits, and when nodes moved: kept in the cluster between two looks.

Schedulers do not tell it alike, or not at all. So what counts is what was seen: a node was idle since the
first of the looks that all found it idle. It lies in one ConfigMap, so that any operator's machine goes on.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError

_MAPS = "/api/v1/namespaces/kube-system/configmaps"
_NAME = "platformctl-balance"
_DATA = "memory.json"


@dataclass(frozen=True)
class Memory:
    """Times are seconds since 1970. looked: the last look. idle: by node. waits: by side. moved: by node."""

    looked: float = 0
    idle: Mapping[str, float] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)

    def seen(self, now: float, idle: Collection[str], waits: Collection[str], gap: float) -> "Memory":
        """What is known after one more look, which found these nodes idle and work waiting on these sides.

        gap: after a longer time without a look, nobody knows what was in between, and all times begin anew.
        """
        fresh = now - self.looked > gap
        return Memory(
            now,
            {name: now if fresh else self.idle.get(name, now) for name in idle},
            {side: now if fresh else self.waits.get(side, now) for side in waits},
            self.moved,
        )

    def with_moved(self, names: Collection[str], now: float) -> "Memory":
        """What is known after these nodes have moved."""
        return Memory(self.looked, self.idle, self.waits, {**self.moved, **dict.fromkeys(names, now)})


async def read(client: KubernetesClient) -> Memory:
    """What was seen before; nothing at the first time."""
    try:
        found = await client.get(f"{_MAPS}/{_NAME}")
    except NotFoundError:
        return Memory()
    return Memory(**json.loads(found["data"][_DATA]))


async def write(client: KubernetesClient, memory: Memory) -> None:
    """Keep it. Whoever balances holds a lock, so nobody else writes."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME},
        "data": {_DATA: json.dumps(asdict(memory), sort_keys=True)},
    }
    try:
        await client.merge(f"{_MAPS}/{_NAME}", body)
    except NotFoundError:
        await client.create(_MAPS, body)
