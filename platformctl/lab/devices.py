"""Device files of lab hosts that stand in for the devices of the inventory.

They have numbers that Linux keeps for local use and that no driver has. So opening one fails with ENXIO,
and with EPERM if a control group forbids it: whoever may open a device is told from whoever may not, and
nothing happens. What the kernel tells of the health of such devices is simulated below HARDWARE, where the
lab's inventory says it is (device_health_hardware).
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from platformctl.errors import PlatformError
from platformctl.lab import driver, podman
from platformctl.lab.hosts import Host
from platformctl.site import devices
from platformctl.site.effective import Effective
from platformctl.site.inventory import read_inventory

MAJOR = 241
"""Of 240 to 254; the devices that role slurm_node simulates have 240."""
HARDWARE = "/run/lab-hardware"
"""Stands in for the root folder, with the kernel's log and parts of /proc and /sys."""
DRIVER = "/usr/local/lib/lab-driver"
"""What a device with a name in CDI brings into its container."""
KERNEL_LOG = f"{HARDWARE}/dev/kmsg"
_GPU = re.compile(r"/dev/nvidia(\d+)")
_VERBS = re.compile(r"/dev/infiniband/uverbs(\d+)")
_RULES = "/etc/tmpfiles.d/platformctl-lab-devices.conf"
_MAKE = f"mkdir -p /etc/tmpfiles.d && cat > {_RULES} && systemd-tmpfiles --create {_RULES}"


def ensure(inventory: Path, hosts: Iterable[Host]) -> None:
    """Make the device files of a host's table, now and at each boot. Hosts without one stay as they are."""
    effective = Effective(read_inventory(inventory))
    for host in hosts:
        rows = devices.table(effective.variables(host.name))
        rules = tmpfiles(rows)
        if not rules or host.shared:
            continue
        driver.ensure(host, rows)
        done = podman.run("exec", "--interactive", host.container, "sh", "-c", _MAKE, check=False, data=rules)
        if done.returncode:
            raise PlatformError(
                f"the devices of {host.name} cannot be made: {done.stderr.strip()}",
                where=host.container,
                next=f"platformctl lab down --name {host.lab}, and up again",
            )


def tmpfiles(rows: Sequence[devices.Row]) -> str:
    """The rules of tmpfiles.d(5) for all files of a table; empty if it has none."""
    files = dict.fromkeys(file for row in rows for file in (*row.files, *row.common))
    made = [f"c {file} 0666 root root - {MAJOR}:{minor}" for minor, file in enumerate(files)]
    if made:
        made += [f"f {KERNEL_LOG} 0600 root root -"]
    if any(_GPU.fullmatch(file) for file in files):
        told = (
            "NVRM\\x20version:\\x20NVIDIA\\x20UNIX\\x20x86_64\\x20Kernel\\x20Module\\x20\\x20"
            + driver.VERSION
        )
        made += [f"f {HARDWARE}/proc/driver/nvidia/version 0444 root root - {told}\\n"]
    for file in files:
        made += _hardware(file)
    made += _cdi(dict.fromkeys(name for row in rows for name in row.cdi))
    return "".join(f"{line}\n" for line in made)


def _cdi(names: Iterable[str]) -> list[str]:
    """What a vendor's tool writes of its devices: each brings a file, as if of its driver, and its name."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.partition("=")[0], []).append(name.partition("=")[2])
    rules = []
    for kind, devices_of_kind in kinds.items():
        driver = {"hostPath": "/etc/os-release", "containerPath": DRIVER, "options": ["ro", "bind"]}
        entries = [
            {"name": name, "containerEdits": {"env": [f"LAB_DEVICE={kind}={name}"], "mounts": [driver]}}
            for name in devices_of_kind
        ]
        document = {"cdiVersion": "0.5.0", "kind": kind, "devices": entries}
        text = json.dumps(document, separators=(",", ":"))
        rules.append(f"f+ /etc/cdi/{kind.replace('/', '-')}.json 0644 root root - {text}")
    return rules


def address(file: str) -> str:
    """The simulated PCI address of a GPU's file, such as `0000:03:00`."""
    found = _GPU.fullmatch(file)
    return f"0000:{int(found[1]):02x}:00" if found else ""


def port_state(file: str) -> str:
    """Where the state of the port of an RDMA device's file is simulated."""
    found = _VERBS.fullmatch(file)
    return f"{HARDWARE}/sys/class/infiniband/mlx5_{found[1]}/ports/1/state" if found else ""


def _hardware(file: str) -> list[str]:
    """The rules for what the kernel tells of a device."""
    if gpu := _GPU.fullmatch(file):
        place = f"{HARDWARE}/proc/driver/nvidia/gpus/{address(file)}.0/information"
        return [f"f {place} 0444 root root - Device\\x20Minor:\\x20{gpu[1]}\\n"]
    if verbs := _VERBS.fullmatch(file):
        place = f"{HARDWARE}/sys/class/infiniband_verbs/uverbs{verbs[1]}/ibdev"
        state = port_state(file)
        return [
            f"f {place} 0444 root root - mlx5_{verbs[1]}\\n",
            f"f {state} 0644 root root - 4:\\x20ACTIVE\\n",
            f"f {state.removesuffix('state')}link_layer 0444 root root - InfiniBand\\n",
        ]
    return []
