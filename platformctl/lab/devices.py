"""Device files of lab hosts that stand in for the devices of the inventory.

They have numbers that Linux keeps for local use and that no driver has. So opening one fails with ENXIO,
and with EPERM if a control group forbids it: whoever may open a device is told from whoever may not, and
nothing happens.
"""

from collections.abc import Iterable
from pathlib import Path

from platformctl.errors import PlatformError
from platformctl.lab import podman
from platformctl.lab.hosts import Host
from platformctl.site import devices
from platformctl.site.effective import Effective
from platformctl.site.inventory import read_inventory

MAJOR = 241
"""Of 240 to 254; the devices that role slurm_node simulates have 240."""
_RULES = "/etc/tmpfiles.d/platformctl-lab-devices.conf"
_MAKE = f"mkdir -p /etc/tmpfiles.d && cat > {_RULES} && systemd-tmpfiles --create {_RULES}"


def ensure(inventory: Path, hosts: Iterable[Host]) -> None:
    """Make the device files of a host's table, now and at each boot. Hosts without one stay as they are."""
    effective = Effective(read_inventory(inventory))
    for host in hosts:
        rules = tmpfiles(devices.table(effective.variables(host.name)))
        if not rules or host.shared:
            continue
        done = podman.run("exec", "--interactive", host.container, "sh", "-c", _MAKE, check=False, data=rules)
        if done.returncode:
            raise PlatformError(
                f"the devices of {host.name} cannot be made: {done.stderr.strip()}",
                where=host.container,
                next=f"platformctl lab down --name {host.lab}, and up again",
            )


def tmpfiles(rows: Iterable[devices.Row]) -> str:
    """The rules of tmpfiles.d(5) for all files of a table; empty if it has none."""
    files = dict.fromkeys(file for row in rows for file in (*row.files, *row.common))
    return "".join(f"c {file} 0666 root root - {MAJOR}:{minor}\n" for minor, file in enumerate(files))
