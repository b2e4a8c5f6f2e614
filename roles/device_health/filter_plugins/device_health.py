"""The devices of a host whose health is judged there."""

from collections.abc import Callable, Mapping
from typing import Any

from platformctl.site import devices


def device_health_devices(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the watched devices of a host, as its service reads them."""
    return devices.watched(variables)


def device_health_offered(variables: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return how many devices each scheduler gives away on a host, by its names for them."""
    of_slurm = (words.rpartition(":") for words in devices.gres(variables))
    return {
        devices.KUBERNETES: devices.allocatable(variables),
        devices.SLURM: {name: int(count) for name, _, count in of_slurm},
    }


def device_health_gpus(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the whole GPUs of nvidia that Kubernetes has on a host: file, and how many may hold it."""
    return [
        {"file": files[-1], "holders": row.holders}
        for row in devices.owned(variables, devices.KUBERNETES)
        if row.kind == devices.GPU and row.vendor == "nvidia" and not row.slices
        for files in row.devices
    ]


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "device_health_devices": device_health_devices,
            "device_health_offered": device_health_offered,
            "device_health_gpus": device_health_gpus,
        }
