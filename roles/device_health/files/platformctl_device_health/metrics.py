"""Figures of the devices as Prometheus reads them from a file: health, what is offered, what is given away.

They are written where Debian's prometheus-node-exporter looks for files, if it is there. How busy a GPU is,
only NVIDIA's DCGM tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = "platformctl-devices.prom"
CHECKPOINT = Path("/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint")
PODS = Path("/var/lib/kubelet/pods")
_GRES_USED = re.compile(r"(?:^|\s)GresUsed=(\S+)")
_GRES = re.compile(r"([^,:()]+(?::[^,:()]+)?):(\d+)(?:\([^)]*\))?")
_HELP = {
    "platformctl_device_healthy": "Whether a device is in service (1) or faulty (0).",
    "platformctl_devices_offered": "Devices that a scheduler may give away, each as often as it has holders.",
    "platformctl_devices_allocated": "Devices that jobs or pods hold on this node.",
    "platformctl_gpu_memory_bytes": "Memory of a GPU, with its product and the version of its driver.",
}


def text(
    devices: Iterable[Any],
    faults: Mapping[str, str],
    offered: Mapping[str, Mapping[str, int]],
    allocated: Mapping[str, Mapping[str, int]],
    report: Mapping[str, Any],
) -> str:
    """The file. offered, allocated: counts by scheduler and resource. report: of NVML."""
    rows: dict[str, list[str]] = {name: [] for name in _HELP}
    for device in devices:
        healthy = not any(file in faults for file in device.files)
        rows["platformctl_device_healthy"].append(_row({"device": device.files[-1]}, int(healthy)))
    for name, counts in (("offered", offered), ("allocated", allocated)):
        for scheduler, of_resource in counts.items():
            for resource, count in of_resource.items():
                named = {"scheduler": scheduler, "resource": resource}
                rows[f"platformctl_devices_{name}"].append(_row(named, count))
    for gpu in report.get("gpus", {}).values():
        if "minor" in gpu:
            file = f"/dev/nvidia{gpu['minor']}"
            named = {"device": file, "product": gpu["name"], "driver": report["driver"]}
            rows["platformctl_gpu_memory_bytes"].append(_row(named, gpu["memory_mib"] << 20))
    lines = []
    for name, values in rows.items():
        if values:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{value}" for value in values]
    return "".join(f"{line}\n" for line in lines)


def of_pods(
    resources: Iterable[str], checkpoint: Path = CHECKPOINT, pods: Path = PODS
) -> dict[str, int] | None:
    """How many of each resource pods hold, by the kubelet's own notes; None if there are none.

    The kubelet forgets a pod that has ended when it next gives a device away: its folder goes before.
    """
    try:
        entries = json.loads(checkpoint.read_text())["Data"]["PodDeviceEntries"] or []
        counts = dict.fromkeys(resources, 0)
        for entry in entries:
            if entry["ResourceName"] in counts and (pods / entry["PodUID"]).exists():
                ids = entry["DeviceIDs"]
                counts[entry["ResourceName"]] += sum(map(len, ids.values()))
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return None
    return counts


def of_jobs(said: str, resources: Iterable[str]) -> dict[str, int] | None:
    """How many of each generic resource jobs hold, by what `scontrol --details show node` printed."""
    used = _GRES_USED.search(said)
    if used is None:
        return None
    there = {name: int(count) for name, count in _GRES.findall(used[1])}
    return {name: there.get(name, 0) for name in resources}


def write(folder: Path, content: str) -> None:
    """Replace the file, if there is such a folder."""
    if not folder.is_dir():
        return
    partial = folder / f".{FILE}.new"
    partial.write_text(content)
    partial.chmod(0o644)
    partial.replace(folder / FILE)


def _row(labels: Mapping[str, Any], value: int) -> str:
    quoted = (
        str(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for text in labels.values()
    )
    words = ",".join(f'{name}="{text}"' for name, text in zip(labels, quoted))  # noqa: B905 - Python 3.9
    return f"{{{words}}} {value}"
