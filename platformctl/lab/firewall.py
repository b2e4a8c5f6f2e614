"""A separate nftables table that exists while there is a lab.

Until kube-proxy and flannel have set their rules, a host sends traffic for the pod and service networks along
its default route, through this machine to the outside. The table drops that traffic here, forwarded and
local. It also allows only this machine and the labs to use the shared package cache.
"""

import subprocess
from collections.abc import Collection
from ipaddress import IPv4Network

from platformctl.errors import PlatformError
from platformctl.lab.addresses import gateway

TABLE = "platformctl_lab"


def rules(labs: Collection[IPv4Network], dropped: Collection[IPv4Network], cache_port: int) -> str:
    """The whole table as text for `nft -f`: it replaces an existing table in one transaction.

    The cache can be reached by the hosts of a lab, at their gateway: as if it listened there only.
    """
    gateways = "{ " + ", ".join(str(gateway(lab)) for lab in sorted(labs)) + " }"
    away = f"ip daddr {_set(dropped)} counter drop" if dropped else "accept"
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    {away}
  }}
  chain output {{
    type filter hook output priority filter - 10; policy accept;
    {away}
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname != "lo" tcp dport {cache_port} ip saddr != {_set(labs)} drop
    iifname != "lo" tcp dport {cache_port} ip daddr != {gateways} drop
    iifname != "lo" tcp dport {cache_port} meta nfproto ipv6 drop
  }}
}}
"""


def apply(labs: Collection[IPv4Network], dropped: Collection[IPv4Network], cache_port: int) -> None:
    """Set the rules for these labs."""
    _nft("-f", "-", data=rules(labs, dropped, cache_port))


def remove() -> bool:
    """Remove the table; False when there was none."""
    if not present():
        return False
    _nft("delete", "table", "inet", TABLE)
    return True


def present() -> bool:
    """Whether the table is there."""
    done = subprocess.run(["nft", "list", "table", "inet", TABLE], capture_output=True, check=False)
    return done.returncode == 0


def _set(networks: Collection[IPv4Network]) -> str:
    return "{ " + ", ".join(str(network) for network in sorted(networks)) + " }"


def _nft(*arguments: str, data: str | None = None) -> None:
    done = subprocess.run(["nft", *arguments], capture_output=True, text=True, input=data, check=False)
    if done.returncode:
        raise PlatformError(
            f"the machine's firewall refused the lab's rules: {done.stderr.strip()}",
            where=f"nft table inet {TABLE}",
            next="check that this user may change nftables: nft list ruleset",
        )
