"""Rules on values that `platformctl init` leaves for a person to change: no site has them.

The example's own inventory and labs keep them: the one is documentation, and a lab is on this machine alone.
"""

import ipaddress
from collections.abc import Iterator
from functools import cache

import yaml

from platformctl import paths
from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts
from platformctl.site.rules.hosts import ADDRESSES

EXAMPLE = "example-site"
"""The example's folder and site name."""

# RFC 5737 and RFC 2606 keep these for documentation.
_NETWORKS = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
_DOMAIN = ".example"
_SAME = ("name", "uid", "full_name")


def check(facts: Facts) -> Iterator[Mistake]:
    """All values that are still those of the example."""
    if facts.lab or is_example(facts) or not facts.effective.hosts:
        return
    yield from _addresses(facts)
    yield from _domain(facts)
    yield from _users(facts)


def is_example(facts: Facts) -> bool:
    """Whether this is the example itself."""
    name = facts.shared_text("site_name")
    return name is not None and name[1] == EXAMPLE


def _addresses(facts: Facts) -> Iterator[Mistake]:
    for host in facts.effective.hosts:
        for variable in ADDRESSES:
            value = facts.variables[host].get(variable)
            if isinstance(value, str) and _documented(value):
                problem = f"{host} still has an address of the example, which no host can have"
                remedy = f"write the address of {host}, or remove the host"
                yield facts.variable_mistake(host, variable, problem, remedy)


def _documented(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _NETWORKS)


def _domain(facts: Facts) -> Iterator[Mistake]:
    setting = facts.shared_text("site_domain")
    if setting and setting[1].endswith(_DOMAIN):
        source, domain = setting
        remedy = f"write the hosts' DNS domain; without one, {domain.removesuffix(_DOMAIN)}.internal will do"
        problem = "is still the example's domain, and cannot be changed once the site is installed"
        yield source.mistake(("site_domain",), domain, problem, remedy)


def _users(facts: Facts) -> Iterator[Mistake]:
    for account in facts.present("users_accounts"):
        if tuple(account.content.get(key) for key in _SAME) in _example_users():
            remedy = "write a user of the site in its place, or remove it"
            yield account.mistake(("name",), "is still a user of the example", remedy)


@cache
def _example_users() -> frozenset[tuple[object, ...]]:
    path = paths.data_dir() / "inventories" / EXAMPLE / "group_vars" / "all" / "users.yml"
    accounts = yaml.safe_load(path.read_text())["users_accounts"]
    return frozenset(tuple(account.get(key) for key in _SAME) for account in accounts)
