"""What a node's labels say of its GPUs, with the names and values of NVIDIA's GPU feature discovery.

They describe the GPUs that Kubernetes has, as pods see them. GPU feature discovery itself needs node feature
discovery besides; where a site runs both, the labels are theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

THEIRS = "nvidia.com/gfd.timestamp"
"""A label that only NVIDIA's own program sets."""
_FULL = "nvidia.com/cuda.driver-version.full"
LABELS = (
    *("nvidia.com/gpu.present", "nvidia.com/gpu.count", "nvidia.com/gpu.product", "nvidia.com/gpu.memory"),
    *("nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor", "nvidia.com/gpu.replicas"),
    *("nvidia.com/mig.capable", "nvidia.com/cuda.runtime-version.full", _FULL),
)
"""The labels that are made here."""


def labels(report: Mapping[str, Any], offered: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The labels for the GPUs of a report of NVML. offered: of Kubernetes, each with `file` and `holders`.

    What several kinds of GPUs differ in has no label.
    """
    there = {f"/dev/nvidia{gpu['minor']}": gpu for gpu in report.get("gpus", {}).values() if "minor" in gpu}
    mine = [(there[one["file"]], one["holders"]) for one in offered if one["file"] in there]
    if not mine:
        return {}
    gpus = [gpu for gpu, _ in mine]
    cuda = int(report["cuda"])
    found = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": str(len(gpus)),
        "nvidia.com/mig.capable": _word(any(gpu["mig"] for gpu in gpus)),
        "nvidia.com/cuda.runtime-version.full": f"{cuda // 1000}.{cuda % 1000 // 10}",
        _FULL: str(report["driver"]),
    }
    for name, values in (
        ("product", {_product(gpu["name"]) for gpu in gpus}),
        ("memory", {str(gpu["memory_mib"]) for gpu in gpus}),
        ("compute.major", {gpu["compute"].partition(".")[0] for gpu in gpus}),
        ("compute.minor", {gpu["compute"].partition(".")[2] for gpu in gpus}),
        ("replicas", {str(holders) for _, holders in mine}),
    ):
        if len(values) == 1:
            found[f"nvidia.com/gpu.{name}"] = values.pop()
    return found


def _word(yes: bool) -> str:
    return "true" if yes else "false"


def _product(name: str) -> str:
    """A name as the value of a label."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:63].strip("-_.")
