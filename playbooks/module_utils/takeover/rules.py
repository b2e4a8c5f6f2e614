"""Rules for packets that an earlier cluster has left in the kernel: those of kube-proxy and flannel."""

from __future__ import annotations

import re

from ansible.module_utils.takeover import host, record

SAVED = f"{record.BEFORE}/rules"
_TABLES = re.compile(r"^table (\S+) (kube-proxy|flannel-ipv[46])$", re.MULTILINE)
_CHAINS = re.compile(r"(?:KUBE|FLANNEL)-")
# The kubelet makes some chains, too, and ours leaves them behind; they do nothing without these.
_SERVING = re.compile(r"^:(?:KUBE-SERVICES|FLANNEL-)", re.MULTILINE)
_TOOLS = ("iptables", "ip6tables")


def found() -> list[str]:
    """What is there, in words."""
    words = [f"nft table {family} {name}" for family, name in _TABLES.findall(_tables())]
    words += [f"chains of {tool}" for tool in _TOOLS if _theirs(_chains(tool))]
    # Three lines are the head of a table without entries.
    words += ["IPVS"] if len(host.text("/proc/net/ip_vs").splitlines()) > 3 else []
    return words


def remove() -> None:
    """Save all rules in the record, then remove those of the cluster; others stay as they are."""
    saved = "".join(f"# {tool}\n{_chains(tool)}\n" for tool in _TOOLS) + host.ask("nft", "list", "ruleset")
    place = host.at(SAVED)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(saved, encoding="utf-8")
        place.chmod(0o600)
    for family, name in _TABLES.findall(_tables()):
        host.run("nft", "delete", "table", family, name)
    for tool in _TOOLS:
        rules = _chains(tool)
        if _theirs(rules):
            others = "".join(f"{line}\n" for line in rules.splitlines() if not _CHAINS.search(line))
            host.run(f"{tool}-restore", data=others)
    if host.at("/proc/net/ip_vs").exists():
        host.run("ipvsadm", "--clear")


def _tables() -> str:
    return str(host.ask("nft", "list", "tables"))


def _chains(tool: str) -> str:
    return str(host.ask(f"{tool}-save"))


def _theirs(rules: str) -> bool:
    return bool(_SERVING.search(rules))
