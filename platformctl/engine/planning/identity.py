"""Whether the hosts are the ones that the inventory means: each remembers the name it was installed under.

A host that was installed under another name belongs to the clusters under that name, with certificates for
it. So a host that was renamed in the inventory, or whose address now belongs to another host, is refused
before anything is done to it.
"""

from collections.abc import Iterable, Mapping

from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.record import Records
from platformctl.errors import ExitCode, PlatformError


def renamed(fleet: Fleet, records: Records, hosts: Iterable[str]) -> dict[str, str]:
    """The recorded name by host, of hosts that were installed under another one."""
    names = {host: records.name(host) for host in fleet.hosts if host in set(hosts)}
    return {host: name for host, name in names.items() if name not in ("", host)}


def remedies(fleet: Fleet, others: Mapping[str, str]) -> list[str]:
    """A line for each such host: what is wrong, and the commands that help."""
    return [_remedy(fleet, host, name) for host, name in others.items()]


def refusal(fleet: Fleet, others: Mapping[str, str]) -> PlatformError:
    """The error that ends a run before it does anything to such hosts."""
    return PlatformError(
        "the inventory gives installed hosts other names than they have, so nothing was done",
        where=str(fleet.inventory),
        next="correct the inventory, or run the commands above",
        code=ExitCode.REFUSED,
        details=remedies(fleet, others),
    )


def _remedy(fleet: Fleet, host: str, name: str) -> str:
    address, site = fleet.hosts[host].connection.address, f"-i {fleet.inventory}"
    if name in fleet.hosts:
        return (
            f"the host at {address}, the address of {host}, was installed as {name}: correct the addresses of"
            f" {host} and {name} in the inventory; or, if they are to exchange their names, first:"
            f" platformctl reset {site} --limit {host},{name}"
        )
    return (
        f"{host} at {address} was installed as {name}: call it {name} in the inventory; or, to give it the"
        f" new name: platformctl node remove {site} {name}, then platformctl install {site}"
    )
