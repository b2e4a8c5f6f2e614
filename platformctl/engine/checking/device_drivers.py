"""Judges the drivers of a host's devices: is NVIDIA's loaded, and has RDMA a port that is InfiniBand or RoCE?

Nothing is installed here: a driver belongs to the host's kernel, and to whoever keeps that.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.site import devices
from platformctl.site.role_defaults import default

_NVIDIA = "nvidia"
_GPU = re.compile(r"/dev/nvidia\d+")
_VERBS = "/dev/infiniband/uverbs"
_TRANSPORTS = {"InfiniBand": "InfiniBand", "Ethernet": "RoCE"}
"""What a port's link layer means for an RDMA device."""


def question(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What a host's probe is asked for its table."""
    rows = devices.table(variables)
    verbs = (
        file for row in rows if row.kind == devices.RDMA for file in row.files if file.startswith(_VERBS)
    )
    return {
        "nvidia": any(row.kind == devices.GPU and row.vendor == _NVIDIA for row in rows),
        "rdma": list(dict.fromkeys(verbs)),
        "hardware": variables.get("device_health_hardware") or default("device_health_hardware", str),
    }


def check(subject: Subject) -> Iterator[Finding]:
    """What is missing, and which transport RDMA has. A host that was not asked has no findings."""
    answer = subject.probe.get("parts") or {}
    if found := answer.get("nvidia"):
        yield from _nvidia(subject, found)
    for file, told in (answer.get("ports") or {}).items():
        yield _rdma(subject.name, file, told)


def _nvidia(subject: Subject, found: Mapping[str, Any]) -> Iterator[Finding]:
    rows = [row for row in devices.table(subject.variables) if row.vendor == _NVIDIA]
    theirs = any(row.plugin == devices.NVIDIA_PLUGIN for row in rows)
    if not found["driver"]:
        yield _lacks(
            subject,
            "NVIDIA's kernel driver is not loaded (no /proc/driver/nvidia/version)",
            "install it there (on Debian the package nvidia-driver of non-free), load it with "
            "`modprobe nvidia`, and look whether nvidia-smi lists all GPUs",
        )
    elif theirs and not found["library"]:
        yield _lacks(
            subject,
            "libnvidia-ml.so.1 is missing, by which NVIDIA's device plugin finds the GPUs",
            "install it there, of the driver's own version (on Debian the package libnvidia-ml1 of non-free)",
        )
    else:
        yield from _unlike(subject, rows, found.get("gpus") or ())
    if (theirs or any(row.cdi for row in rows)) and not found["toolkit"]:
        yield _lacks(
            subject,
            "neither nvidia-cdi-hook nor nvidia-ctk is there, which containers with GPUs start with",
            "install nvidia-container-toolkit there, from NVIDIA's repository",
        )


def _unlike(subject: Subject, rows: Sequence[devices.Row], listed: Sequence[str]) -> Iterator[Finding]:
    """Where the driver's GPUs are not the table's. Slurm's AutoDetect=nvidia would read the same list."""
    there = {file for row in rows if row.kind == devices.GPU for file in row.files if _GPU.fullmatch(file)}
    theirs = any(row.plugin == devices.NVIDIA_PLUGIN for row in rows)
    if missing := sorted(there.difference(listed)):
        problem = f"NVIDIA's driver does not list {', '.join(missing)} of node_devices"
        yield _lacks(subject, problem, "look at nvidia-smi, or correct node_devices")
    if more := sorted(set(listed) - there):
        names = ", ".join(more)
        if theirs:
            problem = f"NVIDIA's driver has {names} too, which NVIDIA's plugin would offer beside the table"
            yield _lacks(subject, problem, "add it to node_devices")
        else:
            problem = f"NVIDIA's driver has {names} too, which nobody offers"
            yield Finding(
                subject.name, "driver", Level.WARNING, problem, "add it to node_devices, if it may be used"
            )


def _rdma(host: str, file: str, told: Mapping[str, Any]) -> Finding:
    ports = {port: (layer, state.partition(": ")[2]) for port, (layer, state) in told["ports"].items()}
    words = [f"port {port}: {layer or 'no link layer'}, {state}" for port, (layer, state) in ports.items()]
    name = f"{told['name'] or file}, " + ("; ".join(words) or "no port")
    fit = {_TRANSPORTS[layer]: state for layer, state in ports.values() if layer in _TRANSPORTS}
    if not fit:
        problem = f"no port of an rdma device is InfiniBand or RoCE ({name})"
        remedy = "load its driver (ibv_devinfo must list the device), or remove its row of node_devices"
        return Finding(host, "rdma", Level.ERROR, problem, remedy)
    if "ACTIVE" not in fit.values():
        problem = f"no port is active ({name}), so the device is offered to nobody"
        return Finding(host, "rdma", Level.WARNING, problem, "plug the cable in, and look at ibv_devinfo")
    return Finding(host, "rdma", Level.OK, f"transport {' and '.join(fit)} ({name})")


def _lacks(subject: Subject, problem: str, remedy: str) -> Finding:
    return Finding(subject.name, "driver", Level.ERROR, problem, remedy)
