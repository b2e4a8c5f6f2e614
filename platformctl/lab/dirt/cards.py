"""A host's network cards."""

from collections.abc import Iterator

from platformctl.lab.dirt.made import dirt, made
from platformctl.lab.lifecycle import Lab

# A part of the addresses for laboratories that no lab uses; nobody answers there.
_OTHER = "198.19.255"
_CARD = "eth9"
# The gateway has a link address and never answers: packets to it are lost, and not refused at once.
_ADD_CARD = f"""
set -eu
ip link add {_CARD} type veth peer name {_CARD}-end
ip link set {_CARD}-end up
ip address add {_OTHER}.$1/24 dev {_CARD}
ip link set {_CARD} up
ip neighbour replace {_OTHER}.1 lladdr 02:00:00:00:00:01 dev {_CARD} nud permanent
ip route replace default via {_OTHER}.1 dev {_CARD}
"""
# The old default route is still there, behind this one.
_REMOVE_CARD = f"ip link delete {_CARD} 2>/dev/null || true"


@dirt
def second_card(lab: Lab, host: str) -> Iterator[None]:
    """The host has a second network card, and its default route goes there and not to the site."""
    number = lab.host(host).address.packed[-1]
    with made(lab, host, _ADD_CARD.replace("$1", str(number)), _REMOVE_CARD):
        yield
