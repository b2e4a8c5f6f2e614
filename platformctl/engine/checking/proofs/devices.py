"""Whether Kubernetes offers the devices that the inventory gives it, on each node that has some."""

import json
from collections.abc import Mapping
from typing import Any

from platformctl.engine.checking.proofs.health_check import GLOBAL, HealthCheck, Outcome, Place, Scene
from platformctl.engine.checking.proofs.kubernetes import CLUSTER
from platformctl.site import devices

_NODE = "kubernetes_node"


def _read(scene: Scene, _asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    """That the API does not answer, another check says."""
    if code != 0:
        return {}
    try:
        items = json.loads(output)["nodes"]["items"]
        known = {item["metadata"]["name"]: item["status"].get("allocatable") or {} for item in items}
    except (KeyError, TypeError, ValueError):
        return {}
    hosts = [scene.fleet.hosts[name] for name in scene.fleet.members(_NODE) if scene.has(name, _NODE)]
    tables = {host.name: devices.plugin_rows(devices.on_host(host.variables, host.groups)) for host in hosts}
    found = {name: outcome(rows, known[name]) for name, rows in tables.items() if rows and name in known}
    return found or {GLOBAL: Outcome(True, "no node of Kubernetes has devices")}


def outcome(rows: list[dict[str, Any]], allocatable: Mapping[str, Any]) -> Outcome:
    """Whether a node offers as many of each resource as its table has. A broken device is not offered."""
    wanted = {row["resource"]: len(row["devices"]) * row["holders"] for row in rows}
    there = {name: int(allocatable.get(name) or 0) for name in wanted}
    lacking = [f"{there[name]} of {count} {name}" for name, count in wanted.items() if there[name] != count]
    if lacking:
        return Outcome(False, f"it offers {', '.join(lacking)}")
    return Outcome(True, f"it offers {', '.join(f'{count} {name}' for name, count in wanted.items())}")


DEVICES = HealthCheck(
    "devices",
    place=Place.KUBERNETES,
    question=CLUSTER,
    read=_read,
    seconds=30,
    patience=180,
    of_group=_NODE,
    look="kubectl -n kube-system logs -l app.kubernetes.io/name=device-plugin",
)
