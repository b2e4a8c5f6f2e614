"""Rules on networks: pods, services and hosts share no address, and the pod network fits all nodes."""

import ipaddress
from collections.abc import Iterator

from platformctl.site.inventory import Source
from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts

NETWORKS = {"kubernetes_pod_network": "pods", "kubernetes_service_network": "services"}
NODE_PREFIX = 24
"""Prefix length of each node's part of the pod network, as the controller manager assigns it."""

_Network = tuple[str, Source, ipaddress.IPv4Network]


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of networks."""
    networks = list(_networks(facts))
    yield from _overlaps(networks)
    yield from _hosts_within(facts, networks)
    yield from _shares(facts, networks)


def _networks(facts: Facts) -> Iterator[_Network]:
    for variable in NETWORKS:
        setting = facts.shared_text(variable)
        if setting and "/" in setting[1]:
            try:
                yield variable, setting[0], ipaddress.IPv4Network(setting[1])
            except ValueError:
                continue  # judged by its type


def _overlaps(networks: list[_Network]) -> Iterator[Mistake]:
    for index, (variable, source, network) in enumerate(networks):
        for other, _, earlier in networks[:index]:
            if network.overlaps(earlier):
                problem = f"overlaps {other} {earlier}"
                yield source.mistake((variable,), str(network), problem, "choose networks that are apart")


def _hosts_within(facts: Facts, networks: list[_Network]) -> Iterator[Mistake]:
    for host in facts.effective.hosts:
        setting = facts.address(host)
        if not setting:
            continue
        try:
            address = ipaddress.ip_address(setting[1])
        except ValueError:
            continue  # judged with the hosts
        for variable, _, network in networks:
            if address in network:
                problem = f"address of {host} lies in {variable} {network}"
                remedy = f"choose a network for {NETWORKS[variable]} that holds no host"
                yield facts.variable_mistake(host, setting[0], problem, remedy)


def _shares(facts: Facts, networks: list[_Network]) -> Iterator[Mistake]:
    nodes = {*facts.members("kubernetes_control_plane"), *facts.members("kubernetes_node")}
    for variable, source, network in networks:
        if variable == "kubernetes_pod_network":
            shares = 2 ** max(NODE_PREFIX - network.prefixlen, 0) if network.prefixlen <= NODE_PREFIX else 0
            if shares < len(nodes):
                problem = f"has room for {shares} nodes of /{NODE_PREFIX} each, the site has {len(nodes)}"
                yield source.mistake((variable,), str(network), problem, "choose a larger network")
