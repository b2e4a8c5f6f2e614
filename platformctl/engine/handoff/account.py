"""What is known of the moves of a node, kept in the cluster, so that every operator's machine can go on.

One ConfigMap a node in kube-system. It says where a move goes that has begun and not ended, which drain of
Slurm is ours, and what the node had in Kubernetes when it left. Every change names the version that it
changes, so that two who move the same node do not overwrite each other.
"""

import getpass
import json
import socket
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError

_MAPS = "/api/v1/namespaces/kube-system/configmaps"
_DATA = "account.json"


Noted = Literal["drain", "hold"]
"""What a drain of ours is for: a field of Account."""


@dataclass(frozen=True)
class Drain:
    """A drain in Slurm, as Slurm shows it: the reason, and who set it when (`root@2026-11-29T15:00:00`)."""

    reason: str
    stamp: str


@dataclass(frozen=True)
class Account:
    """The moves of one node.

    to: the scheduler that a move goes to; empty if none is under way. by, since: who began it, and when.
    drain: the drain in Slurm that is the move's. held: why an administrator took the node out of service by
    `node drain`; empty if nobody did. hold: the drain in Slurm that is for this. left: what people gave the
    node in Kubernetes, when it was taken out there. version: of the ConfigMap; empty if there is none yet.
    """

    name: str
    to: str = ""
    by: str = ""
    since: str = ""
    drain: Drain | None = None
    held: str = ""
    hold: Drain | None = None
    left: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    def noting(self, what: Noted, drain: Drain | None) -> "Account":
        """The account of a node with this drain of ours in Slurm: the move's, or that of `node drain`."""
        return replace(self, drain=drain) if what == "drain" else replace(self, hold=drain)

    def begun(self, to: str) -> "Account":
        """The account of a node whose move begins, or changes its direction."""
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        return replace(self, to=to, by=who, since=datetime.now(UTC).isoformat("T", "seconds"))

    def ended(self) -> "Account":
        """The account of a node whose move has ended."""
        return replace(self, to="", by="", since="")


def _path(name: str) -> str:
    return f"{_MAPS}/platformctl-node-{name}"


async def read(client: KubernetesClient, name: str) -> Account:
    """The account of a node. A node that never moved has an empty one."""
    try:
        found = await client.get(_path(name))
    except NotFoundError:
        return Account(name)
    return _account(name, found)


def _account(name: str, found: dict[str, Any]) -> Account:
    kept = json.loads(found["data"][_DATA])
    drains = {key: Drain(**kept[key]) if kept[key] else None for key in ("drain", "hold")}
    return Account(name, **{**kept, **drains}, version=found["metadata"]["resourceVersion"])


async def read_all(client: KubernetesClient) -> dict[str, Account]:
    """The accounts of all nodes that have one, by name."""
    found = [item async for page in client.list_pages(_MAPS) for item in page["items"]]
    prefix = _path("").rpartition("/")[2]
    names = (str(item["metadata"]["name"]) for item in found)
    return {
        name.removeprefix(prefix): _account(name.removeprefix(prefix), item)
        for name, item in zip(names, found, strict=True)
        if name.startswith(prefix)
    }


async def write(client: KubernetesClient, account: Account) -> Account:
    """Keep an account; returns it with its new version. ConflictError: somebody else has changed it."""
    kept = {key: value for key, value in asdict(account).items() if key not in ("name", "version")}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"platformctl-node-{account.name}"},
        "data": {_DATA: json.dumps(kept, sort_keys=True)},
    }
    if account.version:
        body["metadata"]["resourceVersion"] = account.version
        stored = await client.merge(_path(account.name), body)
    else:
        stored = await client.create(_MAPS, body)
    return replace(account, version=stored["metadata"]["resourceVersion"])
