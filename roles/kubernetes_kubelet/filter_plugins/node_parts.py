"""What Kubernetes has of a host by the inventory: CPUs, memory and devices."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platformctl.site import devices, processors


def kubelet_shares(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kubelet's settings for a node that is divided or has devices; empty for other nodes."""
    shares = processors.kubelet_settings(variables) if processors.is_split(variables) else {}
    return {**shares, **devices.kubelet_settings(variables)}


def kubernetes_device_labels(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the labels of some hosts for their devices, one `HOST KEY=VALUE` a line."""
    return "".join(
        f"{name} {key}={value}\n" for name in names for key, value in devices.labels(hostvars[name]).items()
    )


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {"kubelet_shares": kubelet_shares, "kubernetes_device_labels": kubernetes_device_labels}
