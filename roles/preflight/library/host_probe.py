#!/usr/bin/python3
"""Looks at a host and says what is there; judges nothing, changes nothing.

Two ways in: as an Ansible module, and as a program that platformctl sends over ssh, which prints the same
facts as JSON. Standard library only, Python 3.9 or newer: it runs on foreign hosts.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.accounts import plan as accounts_plan
from ansible.module_utils.shared_home import state as home_state
from ansible.module_utils.takeover import survey

DOCUMENTATION = """
module: host_probe
short_description: Facts that decide whether platformctl can install a host
description: Says what system, clock, disk, memory, ports and software a host has. Changes nothing.
options:
  peers:
    description: Addresses of other hosts and their ssh ports, by name, to try whether they can be reached.
    type: dict
    default: {}
  operator_epoch:
    description: The operator's clock in seconds since 1970, to compare with; 0 to leave it out.
    type: float
    default: 0
  accounts:
    description: The site's users and groups, as posix_accounts takes them, and the numbers of users to tell.
    type: dict
    default: {}
  home:
    description: The folder of the shared home; empty to leave it out.
    type: str
    default: ""
  parts:
    description: Device files to look for (C(files)), and whether to tell the CPUs (C(processors)) and
      C(hugepages). What runtimes need - C(programs), C(devices), and whether C(containerd) tells its version.
    type: dict
    default: {}
  floors:
    description: A script that names packages below their lowest safe revision; empty to leave it out.
    type: str
    default: ""
  claims:
    description: What the stages of this host use, as platformctl's engine says it.
    type: dict
    default: {}
author: platformctl
"""

EXAMPLES = """
- name: Look at the host
  host_probe:
    peers: {node1: [192.0.2.12, 22]}
"""

RETURN = """
probe:
  description: The facts, see the keys of probe().
  returned: always
  type: dict
"""

_FILLING = ("/", "/var/lib")
_CONNECT_SECONDS = 3
# containerd's own, and not that of the shell that asks.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def probe(
    peers: Mapping[str, Sequence[Any]],
    operator_epoch: float,
    claims: Mapping[str, Any] | None = None,
    accounts: Mapping[str, Any] | None = None,
    home: str = "",
    parts: Mapping[str, Any] | None = None,
    floors: str = "",
) -> dict[str, Any]:
    """All facts of this host; sizes in bytes, times in seconds. took: since the clock was read."""
    offset, started = time.time() - operator_epoch, time.monotonic()
    facts = {
        "os": _os_release(),
        "arch": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uid": os.geteuid(),
        "clock_offset": round(offset, 1) if operator_epoch else None,
        "disk_free": {path: shutil.disk_usage(path).free for path in _disks()},
        "disk_size": {path: shutil.disk_usage(path).total for path in _disks()},
        "memory": _meminfo().get("MemTotal", 0),
        "cpus": os.cpu_count() or 0,
        "swap": _meminfo().get("SwapTotal", 0),
        "listening": sorted(_listening()),
        "hostname": socket.gethostname(),
        "machine_id": _read("/etc/machine-id").strip(),
        "addresses": _addresses(),
        "cgroup": _cgroup(),
        "firewall": _firewall(),
        "proxy": _proxy(),
        "existing": survey.look(claims or {}),
        "site": _read("/var/lib/platformctl/managed").strip(),
        "installed_as": _installed_as(),
        "accounts": accounts_plan.survey(accounts) if accounts else {},
        # Before there are threads: it forks.
        "home": home_state.look(home) if home else {},
        "parts": _parts(parts) if parts else {},
        "unsafe_packages": _said(floors),
        "reach": _reach(peers),
    }
    return {**facts, "took": time.monotonic() - started}


def _said(script: str) -> list[str]:
    """The lines that a script prints; none if it cannot run."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def _parts(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Missing device files, names that CDI lacks, the CPUs as lscpu tells them, and drivers."""
    missing = [path for path in asked.get("files") or () if not _is_device(path)]
    command = ["lscpu", "--parse=CPU,CORE,SOCKET,NODE,CACHE"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        told = ""
    known = _cdi_names() if asked.get("cdi") else set()
    no_cdi = [name for name in asked.get("cdi") or () if name not in known]
    hardware = pathlib.Path(asked.get("hardware") or "/")
    return {
        "missing": missing,
        "no_cdi": no_cdi,
        "lscpu": told if asked.get("processors") else "",
        "nvidia": _nvidia(hardware) if asked.get("nvidia") else {},
        "ports": {file: _ports(hardware, file) for file in asked.get("rdma") or ()},
        "hugepages": _hugepages() if asked.get("hugepages") else {},
        "no_programs": [name for name in asked.get("programs") or () if not shutil.which(name, path=_PATH)],
        "no_nodes": [path for path in asked.get("devices") or () if not pathlib.Path(path).exists()],
        "containerd": _containerd() if asked.get("containerd") else "",
        "namespaces": int(_read("/proc/sys/user/max_user_namespaces").strip() or 0),
        "available": _meminfo().get("MemAvailable", 0),
    }


def _nvidia(hardware: pathlib.Path) -> dict[str, Any]:
    """NVIDIA's driver: its version, empty if it is not loaded; its GPUs; its library and toolkit.

    gpus: their device files, as the driver lists them.
    """
    found = re.search(r"Kernel Module[^\n]*?\s(\d+\.[\d.]+)", _read(hardware / "proc/driver/nvidia/version"))
    listed = sorted((hardware / "proc/driver/nvidia/gpus").glob("*/information"))
    minors = [re.search(r"Device Minor:\s*(\d+)", _read(path)) for path in listed]
    folders = ("/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
    return {
        "driver": found[1] if found else "",
        "gpus": [f"/dev/nvidia{minor[1]}" for minor in minors if minor],
        "library": any(pathlib.Path(folder, "libnvidia-ml.so.1").exists() for folder in folders),
        "toolkit": any(shutil.which(name) for name in ("nvidia-cdi-hook", "nvidia-ctk")),
    }


def _ports(hardware: pathlib.Path, file: str) -> dict[str, Any]:
    """The ports of an RDMA device by their numbers, each with link layer and state, and the device's name."""
    kernel = hardware / "sys/class"
    name = _read(kernel / "infiniband_verbs" / pathlib.Path(file).name / "ibdev").strip()
    ports = sorted((kernel / "infiniband" / name / "ports").glob("*")) if name else []
    told = {port.name: [_read(port / "link_layer").strip(), _read(port / "state").strip()] for port in ports}
    return {"name": name, "ports": told}


def _containerd() -> str:
    """The version of the containerd that is there, or that apt would install; empty if there is none."""
    for command in (["containerd", "--version"], ["apt-cache", "policy", "containerd"]):
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        match = re.search(r"(?:containerd \S+|Candidate:) (\d+\.\d+\S*)", told)
        if match:
            return match[1]
    return ""


def _hugepages() -> dict[str, dict[str, int]]:
    """The huge pages that are kept, by size in kB and NUMA node; those of the host under an empty name."""
    found: dict[str, dict[str, int]] = {}
    everywhere = {"": pathlib.Path("/sys/kernel/mm/hugepages")}
    places = pathlib.Path("/sys/devices/system/node").glob("node[0-9]*")
    for node, folder in {**everywhere, **{path.name[4:]: path / "hugepages" for path in places}}.items():
        for path in sorted(folder.glob("hugepages-*kB")):
            count = _read(str(path / "nr_hugepages")).strip()
            found.setdefault(path.name[10:-2], {})[node] = int(count or 0)
    return found


def _cdi_names() -> set[str]:
    """The devices in the host's files of CDI, as `vendor/class=name`.

    They are JSON or YAML, and a host may have no reader for YAML. In both, as all generators write them, the
    kind stands on a line of its own, and so does each device's name; other names, of hooks or variables, have
    other keys.
    """
    found: set[str] = set()
    for folder in ("/etc/cdi", "/var/run/cdi"):
        for path in sorted(pathlib.Path(folder).glob("*")):
            if path.suffix not in (".json", ".yaml", ".yml"):
                continue
            text = _read(str(path))
            kind = re.search(r'"?\bkind"?\s*:\s*"?([\w./-]+)', text)
            names = re.findall(r'"?\bname"?\s*:\s*"?([\w.:-]+)', text)
            found |= {f"{kind[1]}={name}" for name in names} if kind else set()
    return found


def _is_device(path: str) -> bool:
    file = pathlib.Path(path)
    try:
        return file.is_char_device() or file.is_block_device()
    except OSError:
        return False


def _proxy() -> str:
    """The proxy that the host gives to all its programs, without a password; empty if there is none."""
    found = re.search(r"(?im)^\s*(?:export\s+)?https?_proxy=[\"']?([^\s\"']+)", _read("/etc/environment"))
    return re.sub(r"//[^/@]*@", "//", found[1]) if found else ""


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


def _firewall() -> list[str]:
    """Programs that keep rules for packets on this host, and may not know ours."""
    found = [name for name in ("ufw", "firewalld") if _active(f"{name}.service")]
    rules = _read("/etc/nftables.conf")
    if "flush ruleset" in rules and os.path.lexists(
        "/etc/systemd/system/sysinit.target.wants/nftables.service"
    ):
        found.append("nftables")
    return found


def _active(unit: str) -> bool:
    """Whether a unit is started at boot, as its links say: systemd costs more."""
    return any(pathlib.Path("/etc/systemd/system").glob(f"*.wants/{unit}"))


def _addresses() -> list[str]:
    try:
        output = subprocess.run(["ip", "-json", "address"], capture_output=True, check=True, timeout=5).stdout
        links = json.loads(output)
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return sorted(
        entry["local"] for link in links for entry in link.get("addr_info", []) if entry["scope"] == "global"
    )


def _installed_as() -> str:
    """The host's name in the inventory when platformctl installed it; empty if it has none."""
    try:
        name = json.loads(_read("/var/lib/platformctl/digests.json"))["identity"]["name"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(name)


def _cgroup() -> str:
    if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "hybrid" if pathlib.Path("/sys/fs/cgroup/unified/cgroup.controllers").exists() else "v1"


def _reach(peers: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """For each peer an empty text, or why its ssh port cannot be reached. All at once, bounded in time."""
    found = dict.fromkeys(peers, "no answer")

    def connect(name: str, place: Sequence[Any]) -> None:
        try:
            socket.create_connection((place[0], int(place[1])), timeout=_CONNECT_SECONDS).close()
            found[name] = ""
        except OSError as error:
            found[name] = error.strerror or str(error)

    threads = [threading.Thread(target=connect, args=item, daemon=True) for item in peers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_CONNECT_SECONDS + 1)
    return found


def answer_program(arguments: Mapping[str, Any]) -> None:
    """Answer as a program: JSON on standard output, or why the host cannot be judged on standard error."""
    try:
        answer = probe(**arguments)
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(answer) + "\n")


def main() -> None:
    """Answer as an Ansible module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "peers": {"type": "dict", "default": {}},
            "operator_epoch": {"type": "float", "default": 0},
            "claims": {"type": "dict", "default": {}, "no_log": True},
            "accounts": {"type": "dict", "default": {}},
            "home": {"type": "str", "default": ""},
            "parts": {"type": "dict", "default": {}},
            "floors": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        answer = probe(**module.params)
    except RuntimeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, probe=answer)


if __name__ == "__main__":
    main()
