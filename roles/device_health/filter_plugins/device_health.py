"""The devices of a host whose health is judged there."""

from collections.abc import Callable, Mapping
from typing import Any

from platformctl.site import devices


def device_health_devices(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the watched devices of a host, as its service reads them."""
    return devices.watched(variables)


class FilterModule:
    """The filter above, by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter."""
        return {"device_health_devices": device_health_devices}
