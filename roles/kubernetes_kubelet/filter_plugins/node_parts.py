"""What Kubernetes has of a host by the inventory: CPUs, memory and devices."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platformctl.site import devices, node_classes, runtimes


def kubelet_shares(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kubelet's settings for a node with a class, shares or devices; empty for other nodes."""
    return {**node_classes.kubelet_settings(variables), **devices.kubelet_settings(variables)}


def kubelet_checkpointed(_settings: Mapping[str, Any]) -> list[str]:
    """Return the kubelet's fields with which its notes on the CPUs and the memory of pods must agree."""
    return list(node_classes.CHECKPOINTED)


def kubernetes_node_labels(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the labels of some hosts for their devices and runtimes, one `HOST KEY=VALUE` a line."""
    return "".join(
        f"{name} {key}={value}\n" for name in names for key, value in _labels(name, hostvars[name]).items()
    )


def _labels(name: str, variables: Mapping[str, Any]) -> dict[str, str]:
    return {
        **devices.labels(variables),
        **runtimes.labels(variables, name, variables.get("group_names") or ()),
    }


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "kubelet_shares": kubelet_shares,
            "kubelet_checkpointed": kubelet_checkpointed,
            "kubernetes_node_labels": kubernetes_node_labels,
        }
