"""Classes of hosts that offer the same devices to Kubernetes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platformctl.site import devices


def kubernetes_device_classes(
    names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what each class offers, as {name, rows}, in the order of the classes' names."""
    offered = (devices.plugin_rows(hostvars[name]) for name in names)
    classes = {devices.plugin_class(rows): rows for rows in offered if rows}
    return [{"name": name, "rows": classes[name]} for name in sorted(classes)]


class FilterModule:
    """The filter above, by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter."""
        return {"kubernetes_device_classes": kubernetes_device_classes}
