"""Rules on hosts: their names, their addresses, and that each is listed."""

import ipaddress
from collections.abc import Iterator

from platformctl.site.inventory import ALL
from platformctl.site.mistakes import Mistake, nearest
from platformctl.site.refinements import is_label
from platformctl.site.rules.cluster import existing
from platformctl.site.rules.facts import Facts

SERVICE_NAMES = ("api", "registry", "rest")
"""Names under the site's domain that belong to services, so hosts cannot have them."""


ADDRESSES = ("ansible_host", "base_address", "kubernetes_kubelet_address")
"""Variables of a host's addresses; the addresses of pods and of Slurm's hosts are IPv4 only."""


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of hosts."""
    yield from _names(facts)
    yield from _listing(facts)
    yield from _addresses(facts)
    yield from _other_versions(facts)


def _names(facts: Facts) -> Iterator[Mistake]:
    if not facts.effective.hosts and not existing(facts):
        yield facts.inventory.mistake((), None, "has no hosts", "list them under `all: hosts:`")
    for host in facts.effective.hosts:
        if not is_label(host):
            remedy = "use 1 to 63 of a-z, 0-9 and -; the domain is site_domain, the address ansible_host"
            yield facts.host_mistake(host, f"host name {host} is not a DNS label", remedy)
        elif host in SERVICE_NAMES:
            remedy = "give the host another name"
            yield facts.host_mistake(host, f"{host} is the name of a service of the site", remedy)
        elif host in facts.inventory.groups:
            remedy = "give the host another name"
            yield facts.host_mistake(host, f"{host} is the name of a group and of a host", remedy)


def _listing(facts: Facts) -> Iterator[Mistake]:
    """Hosts that only a group names: most are misspelt."""
    listed = facts.inventory.groups[ALL].hosts
    if not listed:
        return
    for host, places in facts.inventory.listed.items():
        if host not in listed:
            meant = nearest(host, listed)
            remedy = f"did you mean {meant}?" if meant else "add it there with its ansible_host"
            problem = f"host {host} is not listed under `all: hosts:`"
            yield facts.inventory.mistake(places[0], None, problem, remedy)


def _addresses(facts: Facts) -> Iterator[Mistake]:
    owners: dict[str, str] = {}
    listed = facts.inventory.groups[ALL].hosts or facts.inventory.listed
    for host in facts.effective.hosts:
        setting = facts.address(host)
        if not setting:
            if "ansible_host" not in facts.variables[host] and host in listed:
                yield facts.host_mistake(host, f"host {host} has no address", "set its ansible_host")
            continue
        variable, address = setting
        try:
            ipaddress.ip_address(address)
        except ValueError:
            if variable == "ansible_host":  # base_address is judged by its type
                remedy = "write an IP address, or keep the name and set base_address"
                problem = "is not an IP address, and other hosts must know one"
                yield facts.variable_mistake(host, variable, problem, remedy)
            continue
        if address in owners:
            problem = f"{host} has the same address as {owners[address]}"
            yield facts.variable_mistake(host, variable, problem, "give each host its own address")
        owners.setdefault(address, host)


def _other_versions(facts: Facts) -> Iterator[Mistake]:
    for host in facts.effective.hosts:
        for variable in ADDRESSES:
            address = facts.variables[host].get(variable)
            if isinstance(address, str) and _is_ipv6(address):
                problem = f"{variable} of {host} is an IPv6 address, and platformctl needs IPv4"
                yield facts.variable_mistake(host, variable, problem, "write the host's IPv4 address")


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True
