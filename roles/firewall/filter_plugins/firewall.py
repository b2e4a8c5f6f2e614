"""What the packet rules of a host need to know of the site."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from platformctl.site import port_rules


def firewall_site(
    groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]], trusted: Iterable[str]
) -> dict[str, Any]:
    """Return what is the same on all hosts; see port_rules.site."""
    members = {group: {name: hostvars[name] for name in names} for group, names in groups.items()}
    return port_rules.site(members, [str(network) for network in trusted])


class FilterModule:
    """The filters, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {"firewall_site": firewall_site, "firewall_host": port_rules.of_host}
