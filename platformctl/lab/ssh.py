"""ssh access to the hosts of a lab: its key, the hosts' keys, and waiting until they answer."""

import socket
import subprocess
import time
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import podman
from platformctl.lab.hosts import Host

USER = "ops"
BOOT_SECONDS = 90.0
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


def ensure_key(state: Path) -> None:
    """Make the lab's key pair once."""
    key = state / "id_ed25519"
    if not key.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"platformctl lab {state.name}", "-f"]
        subprocess.run([*command, str(key)], check=True)


def options(state: Path) -> list[str]:
    """Options of the ssh command: only the lab's key, and only hosts with a key that the lab knows."""
    return [
        *("-i", str(state / "id_ed25519"), "-o", f"UserKnownHostsFile={state / 'known_hosts'}"),
        *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-F", "none"),
    ]


def command(state: Path, address: IPv4Address, *remote: str) -> list[str]:
    """The ssh command that logs in to a host, or runs a remote command there."""
    return ["ssh", *options(state), f"{USER}@{address}", *remote]


def await_banner(host: Host, seconds: float = BOOT_SECONDS) -> None:
    """Wait until the ssh server of a host answers."""
    deadline = time.monotonic() + seconds
    while True:
        if _speaks(host.address):
            return
        if time.monotonic() > deadline:
            raise _silent(host, seconds, "nothing answers on port 22")
        time.sleep(0.05)


def await_login(state: Path, host: Host, seconds: float = BOOT_SECONDS) -> None:
    """Wait until the administrator can log in and become root, which only works late in the boot."""
    deadline = time.monotonic() + seconds
    probe = command(state, host.address, "sudo", "-n", "true")
    probe[1:1] = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
    while True:
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise _silent(host, seconds, done.stderr.strip())
        time.sleep(0.1)


def host_key(host: Host) -> str:
    """The public key of a host (type and key), read inside the host, so it is certainly the host's own."""
    kind, key, *_ = podman.run("exec", host.container, "cat", _HOST_KEY).stdout.split()
    return f"{kind} {key}"


def known_hosts(keys: Mapping[Host, str]) -> str:
    """The text of a known_hosts file for these hosts and keys."""
    return "".join(f"{host.address},{host.name} {key}\n" for host, key in keys.items())


def _speaks(address: IPv4Address) -> bool:
    try:
        with socket.create_connection((str(address), 22), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _silent(host: Host, seconds: float, reason: str) -> PlatformError:
    return PlatformError(
        f"lab host {host.name} did not let {USER} in within {seconds:.0f} s: {reason}",
        where=f"{host.name} ({host.address})",
        next=f"read its journal: platformctl lab shell {host.name} --name {host.lab} --console",
        code=ExitCode.UNREACHABLE,
    )
