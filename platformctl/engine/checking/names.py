"""Judges the name service of a host: what pods will get, silent name servers, names with wrong addresses."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from platformctl.engine.checking.preflight import Finding, Level
from platformctl.engine.fleet import Host

_KUBERNETES = frozenset({"kubernetes_control_plane", "kubernetes_node"})
# The kubelet's limits; it puts three domains of the cluster before those of the host.
_MOST_SERVERS, _MOST_DOMAINS, _MOST_CHARACTERS = 3, 32 - 3, 2048
_OVERRIDES = "kubernetes_kubelet_overrides"


def judge(host: Host, names: Mapping[str, Any], addresses: Mapping[str, str]) -> list[Finding]:
    """What is wrong with the names on a host.

    names: from network_probe. addresses: of some hosts of the site, by name.
    """
    checks = [*_pods(host, names)] if host.groups & _KUBERNETES else []
    return [*checks, *_servers(host, names), *_local(host, names), *_hosts(host, names, addresses)]


def resolv_conf(host: Host) -> str:
    """The file that the inventory lets the kubelet give to pods; empty if it leaves that to kubeadm."""
    overrides = host.variables.get(_OVERRIDES)
    value = overrides.get("resolvConf") if isinstance(overrides, Mapping) else ""
    return "" if "{{" in str(value) else str(value or "")


def _pods(host: Host, names: Mapping[str, Any]) -> Iterator[Finding]:
    path, servers, search = names["path"], names["servers"], names["search"]
    if not names["there"]:
        remedy = f"make it, or name another file as resolvConf in {_OVERRIDES}"
        yield Finding(host.name, "dns", Level.ERROR, f"{path}, which pods get, is not there", remedy)
        return
    if loops := [server for server in servers if _loopback(server)]:
        remedy = (
            f"write a file with the name server that answers behind it, and name that file: "
            f"{_OVERRIDES}: {{resolvConf: /etc/kubernetes-resolv.conf}}"
        )
        found = f"{path}, which pods get, names {', '.join(loops)}: in a pod that is the pod itself"
        yield Finding(host.name, "dns", Level.ERROR, f"{found}, so CoreDNS would ask itself", remedy)
    if not servers:
        remedy = f"name one there, or another file as resolvConf in {_OVERRIDES}"
        yield Finding(host.name, "dns", Level.WARNING, f"{path} names no name server", remedy)
    if len(servers) > _MOST_SERVERS:
        found = f"{path} names {len(servers)} name servers; pods get the first {_MOST_SERVERS}"
        yield Finding(host.name, "dns", Level.WARNING, found, f"leave at most {_MOST_SERVERS}")
    if len(search) > _MOST_DOMAINS or len(" ".join(search)) > _MOST_CHARACTERS:
        found = f"{path} names {len(search)} search domains, more than a kubelet gives to pods"
        remedy = f"leave at most {_MOST_DOMAINS} with {_MOST_CHARACTERS} characters in all"
        yield Finding(host.name, "dns", Level.WARNING, found, remedy)


def _servers(host: Host, names: Mapping[str, Any]) -> Iterator[Finding]:
    for server, why in names["silent"].items():
        remedy = "correct /etc/resolv.conf, or let UDP port 53 through to it"
        found = f"name server {server} does not answer: {why}"
        yield Finding(host.name, "dns", Level.WARNING, found, remedy)


def _local(host: Host, names: Mapping[str, Any]) -> Iterator[Finding]:
    if not any(_loopback(address) for address in names["localhost"]):
        found = f"localhost is {', '.join(names['localhost']) or 'unknown'} here"
        yield Finding(host.name, "names", Level.ERROR, found, 'write "127.0.0.1 localhost" into /etc/hosts')


def _hosts(host: Host, names: Mapping[str, Any], addresses: Mapping[str, str]) -> Iterator[Finding]:
    """Lines that were in /etc/hosts before come first, so they would win over those of the site."""
    for name, found in names["hosts"].items():
        wanted = addresses.get(name, "")
        own = name == host.name and _loopback(found)
        if wanted and _is_address(wanted) and found != wanted and not own:
            words = f"/etc/hosts says that {name} is {found}; in the inventory it is {wanted}"
            remedy = "remove that line, or correct the inventory's ansible_host"
            yield Finding(host.name, "names", Level.ERROR, words, remedy)


def _loopback(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text.partition("%")[0]).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
