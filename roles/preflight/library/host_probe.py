#!/usr/bin/python3
"""Looks at a host and says what is there; judges nothing, changes nothing.

Two ways in: as an Ansible module, and as `python3 - '{"peers": {...}}'` with this file on standard input,
which prints the same facts as JSON. Standard library only, Python 3.9 or newer: it runs on foreign hosts.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
module: host_probe
short_description: Facts that decide whether platformctl can install a host
description: Says what system, clock, disk, memory, ports and software a host has. Changes nothing.
options:
  peers:
    description: Addresses of other hosts by name, to try TCP port 22 on.
    type: dict
    default: {}
  operator_epoch:
    description: The operator's clock in seconds since 1970, to compare with; 0 to leave it out.
    type: float
    default: 0
author: platformctl
"""

EXAMPLES = """
- name: Look at the host
  host_probe:
    peers: {node1: 192.0.2.12}
"""

RETURN = """
probe:
  description: The facts, see the keys of probe().
  returned: always
  type: dict
"""

# In use, not merely installed: its configuration is there, or a process of that name runs.
_FOREIGN = {
    "docker": (("/run/docker.sock",), ("dockerd",)),
    "kubernetes": (
        ("/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/config.yaml", "/etc/rancher/k3s/k3s.yaml"),
        ("kubelet", "k3s-server", "k3s-agent", "kube-apiserver"),
    ),
    "slurm": (("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf"), ("slurmd", "slurmctld", "slurmdbd")),
}
_FILLING = ("/", "/var/lib")
_CONNECT_SECONDS = 3


def probe(peers: Mapping[str, str], operator_epoch: float) -> dict[str, Any]:
    """All facts of this host; sizes in bytes, times in seconds."""
    return {
        "os": _os_release(),
        "arch": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uid": os.geteuid(),
        "clock_offset": round(time.time() - operator_epoch, 1) if operator_epoch else None,
        "disk_free": {path: shutil.disk_usage(path).free for path in _disks()},
        "disk_size": {path: shutil.disk_usage(path).total for path in _disks()},
        "memory": _meminfo().get("MemTotal", 0),
        "swap": _meminfo().get("SwapTotal", 0),
        "listening": sorted(_listening()),
        "hostname": socket.gethostname(),
        "machine_id": _read("/etc/machine-id").strip(),
        "addresses": _addresses(),
        "cgroup": _cgroup(),
        "foreign": _foreign(),
        "site": _read("/var/lib/platformctl/managed").strip(),
        "reach": _reach(peers),
    }


def _read(path: str | pathlib.Path) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    pairs = [line.split("=", 1) for line in _read("/etc/os-release").splitlines() if "=" in line]
    found = {key: value.strip("\"'") for key, value in pairs}
    return {
        "id": found.get("ID", "unknown"),
        "version": found.get("VERSION_ID", ""),
        "name": found.get("PRETTY_NAME", "an unknown system"),
    }


def _disks() -> Iterable[str]:
    """The folders that fill up; of those on one file system the first."""
    return {pathlib.Path(path).stat().st_dev: path for path in reversed(_FILLING)}.values()


def _meminfo() -> dict[str, int]:
    lines = [line.split() for line in _read("/proc/meminfo").splitlines()]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}


def _listening() -> set[int]:
    """TCP ports that something listens on, except on the loopback only."""
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(path).splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.rsplit(":", 1)
            loopback = address in ("0100007F", "00000000000000000000000001000000")
            if state == "0A" and not loopback:
                found.add(int(port, 16))
    return found


def _foreign() -> list[str]:
    running = {_read(path).strip() for path in pathlib.Path("/proc").glob("[0-9]*/comm")}
    return sorted(
        name
        for name, (paths, processes) in _FOREIGN.items()
        if any(map(os.path.exists, paths)) or running.intersection(processes)
    )


def _addresses() -> list[str]:
    try:
        output = subprocess.run(["ip", "-json", "address"], capture_output=True, check=True, timeout=5).stdout
        links = json.loads(output)
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return sorted(
        entry["local"] for link in links for entry in link.get("addr_info", []) if entry["scope"] == "global"
    )


def _cgroup() -> str:
    if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "hybrid" if pathlib.Path("/sys/fs/cgroup/unified/cgroup.controllers").exists() else "v1"


def _reach(peers: Mapping[str, str]) -> dict[str, str]:
    """For each peer an empty text, or why its ssh port cannot be reached. All at once, bounded in time."""
    found = dict.fromkeys(peers, "no answer")

    def connect(name: str, address: str) -> None:
        try:
            socket.create_connection((address, 22), timeout=_CONNECT_SECONDS).close()
            found[name] = ""
        except OSError as error:
            found[name] = error.strerror or str(error)

    threads = [threading.Thread(target=connect, args=item, daemon=True) for item in peers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_CONNECT_SECONDS + 1)
    return found


def main() -> None:
    """Answer as a program or as an Ansible module."""
    if len(sys.argv) > 1:
        arguments = json.loads(sys.argv[1])
        sys.stdout.write(json.dumps(probe(arguments["peers"], arguments["operator_epoch"])) + "\n")
        return
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "peers": {"type": "dict", "default": {}},
            "operator_epoch": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, probe=probe(module.params["peers"], module.params["operator_epoch"]))


if __name__ == "__main__":
    main()
