"""The site's queues: a Queue resource for each Slurm partition, and for Kubernetes.

The resources are applied once the router's chart has defined them, by server-side apply, so that fields
that the inventory does not set keep the values that somebody gave them. A queue that is no longer in the
inventory is deleted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.site import accounts
from platformctl.site.role_defaults import default
from platformctl.vocabulary import API_VERSION, QUEUE_KIND, QUEUES

_LABEL = "app.kubernetes.io/managed-by"
_OWNER = "platformctl"
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_MAX_SECONDS = 366 * 86400


def queues(variables: Mapping[str, Any], slurm: bool, kubernetes: bool) -> list[dict[str, Any]]:
    """Queue resources from the inventory.

    The default partition's queue also sends Jobs to Kubernetes. A site without Slurm has only this queue.
    A partition with allow_groups becomes a queue for the members of these groups; groups without members make
    no queue.
    """
    declared = default("slurm_partitions", list)
    partitions = (variables.get("slurm_partitions") if slurm else None) or declared
    resources = []
    for partition in partitions:
        leading = bool(partition.get("default")) or len(partitions) == 1
        targets: list[dict[str, Any]] = []
        if slurm:
            targets.append({"slurm": {"partition": partition["name"]}})
        if kubernetes and leading:
            targets.append({"kubernetes": {}})
        spec: dict[str, Any] = {"targets": targets, "default": leading}
        for field, name in (("maxWalltime", "max_time"), ("defaultWalltime", "default_time")):
            if seconds := _seconds(partition.get(name)):
                spec[field] = seconds
        if partition.get("allow_accounts"):
            spec["accounts"] = list(partition["allow_accounts"])
        if partition.get("allow_groups"):
            spec["users"] = _members(variables, partition["allow_groups"])
            if not spec["users"]:
                continue
        resources.append(_resource(_name(partition["name"]), {**spec, **(partition.get("queue") or {})}))
    return resources


async def apply(client: KubernetesClient, wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Make the cluster's queues as wanted; returns whether any changed. Raises ApiError.

    Queues that platformctl did not make are left alone.
    """
    listed = (await client.get(QUEUES, labelSelector=f"{_LABEL}={_OWNER}"))["items"]
    before = {item["metadata"]["name"]: item["metadata"]["generation"] for item in listed}
    after = {}
    for queue in wanted:
        name = queue["metadata"]["name"]
        applied = await client.apply(f"{QUEUES}/{name}", dict(queue))
        after[name] = applied["metadata"]["generation"]
    for name in before.keys() - after.keys():
        await client.delete(f"{QUEUES}/{name}")
    return before != after


def _resource(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": QUEUE_KIND,
        "metadata": {"name": name, "labels": {_LABEL: _OWNER}},
        "spec": dict(spec),
    }


def _name(partition: str) -> str:
    """A partition's name as a Kubernetes name: no capitals, no underscores."""
    return partition.lower().replace("_", "-").strip("-")


def _members(variables: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    return [
        account["name"]
        for account in accounts.present(variables)
        if set(groups) & {account["name"], *(account.get("groups") or [])}
    ]


def _seconds(time: object) -> int | None:
    """Slurm's MINUTES[:SECONDS], HOURS:MINUTES:SECONDS or DAYS-HOURS[:MINUTES[:SECONDS]]; no end is None."""
    match = _TIME.fullmatch(str(time or ""))
    if match is None:
        return None
    days, *parts = (None if part is None else int(part) for part in match.groups())
    first, second, third = (part or 0 for part in parts)
    if days is None and parts[2] is None:
        total = first * 60 + second
    else:
        total = ((days or 0) * 24 + first) * 3600 + second * 60 + third
    return total if 0 < total <= _MAX_SECONDS else None
