"""containerd's runtimes of a host: those of the runtime classes that it is to run."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from platformctl.site import runtimes


def containerd_runtimes(
    variables: Mapping[str, Any], host: str, systemd_cgroup: bool
) -> list[dict[str, Any]]:
    """Return the sections of containerd's file, {handler, type, options}, with options as TOML has them."""
    sections = runtimes.containerd(variables, host, variables.get("group_names") or (), systemd_cgroup)
    # A text, a number or a truth value is the same in TOML and in JSON.
    return [
        {**one, "options": {name: json.dumps(value) for name, value in one["options"].items()}}
        for one in sections
    ]


def containerd_runtime_packages(variables: Mapping[str, Any], host: str) -> list[str]:
    """Return Debian's packages of the runtime classes of a host."""
    return runtimes.packages(variables, host, variables.get("group_names") or ())


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "containerd_runtimes": containerd_runtimes,
            "containerd_runtime_packages": containerd_runtime_packages,
        }
