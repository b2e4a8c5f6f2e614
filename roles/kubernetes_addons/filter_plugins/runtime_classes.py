"""What the cluster knows of the runtime classes of a site."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platformctl.site import runtimes


def kubernetes_runtime_objects(rows: list[Any], groups: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Return each class as {name, handler, label, overhead, hosts, missing, namespaces}."""
    return runtimes.objects({runtimes.VARIABLE: rows}, groups)


class FilterModule:
    """The filter above, by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter."""
        return {"kubernetes_runtime_objects": kubernetes_runtime_objects}
