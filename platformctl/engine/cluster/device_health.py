"""Which devices of a node are faulty, as the service for device health on its host has found."""

import json
from collections.abc import Mapping
from dataclasses import replace

from platformctl.engine import remote
from platformctl.engine.cluster.nodes import DeviceRow, Node
from platformctl.engine.fleet import Fleet
from platformctl.site import devices

_ASK = "cat /run/platformctl/device-health/state.json"
_SECONDS = 15


async def judged(fleet: Fleet, node: Node) -> Node:
    """The node with the faults of its devices. What the host does not say stays unknown."""
    host = fleet.hosts[node.name]
    if not node.devices:
        return node
    reply = await remote.run(host.connection, _ASK, seconds=_SECONDS)
    found = faults(reply.out) if reply.code == 0 else None
    unchecked = {row.index for row in devices.table(host.variables) if not row.checked}
    rows = (row if row.index in unchecked else _judged(row, found) for row in node.devices)
    return replace(node, devices=tuple(rows))


def faults(text: str) -> Mapping[str, str] | None:
    """The faults in the service's state, by device file; None if it is none."""
    try:
        return {str(file): str(reason) for file, reason in json.loads(text)["faults"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _judged(row: DeviceRow, found: Mapping[str, str] | None) -> DeviceRow:
    if found is None:
        return row
    return replace(row, faults={file: found[file] for file in row.files if file in found})
