"""RDMA devices: whether one of their ports has a link."""

from __future__ import annotations

import re
from pathlib import Path

_FILE = re.compile(r"/dev/infiniband/(uverbs\d+)")
_VERBS, _PORTS = "sys/class/infiniband_verbs/{}/ibdev", "sys/class/infiniband/{}/ports"


def fault(hardware: Path, file: str) -> str:
    """Why an RDMA device cannot be used; empty if it can, or if the kernel does not know the file.

    A device with several ports can be used while one of them is active. hardware: the root folder below
    which /sys is.
    """
    found = _FILE.fullmatch(file)
    if found is None:
        return ""
    try:
        name = (hardware / _VERBS.format(found[1])).read_text().strip()
        ports = sorted((hardware / _PORTS.format(name)).iterdir())
        states = {port.name: (port / "state").read_text().strip() for port in ports}
    except OSError:
        return ""
    if not states or any(state.endswith("ACTIVE") for state in states.values()):
        return ""
    told = ", ".join(f"port {port} is {state.partition(': ')[2] or state}" for port, state in states.items())
    return f"link down, {told} ({name})"
