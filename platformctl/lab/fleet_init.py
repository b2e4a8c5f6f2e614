"""The first process of a fleet's container: it connects each ssh connection to the host of its address.

The container's own Python runs it, with the standard library only: `fleet_init.py SETTINGS`, a folder with
fleet.json ({"network": ..., "hosts": {address: name}}) and authorized_keys. The whole network is local to the
container, so no address has to be configured. A host is a mount namespace and a host name namespace. They are
created at the first connection and kept as two open files. sshd runs in them while a connection is open, so a
host without connections costs no process.

Files that hosts write are kept in memory, and lost when the container stops.
"""

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

_MEMORY = Path("/fleet")
"""A tmpfs: the upper layers of all hosts."""
_HOME = _MEMORY / "shared-home"
_MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 4096, 8192, 16384, 1 << 18
_NO_FLAGS, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 0, 2, 4, 32
# Every connection starts a new server, so everything is left out that costs time and that Ansible does not
# need.
_SSHD = ("/usr/sbin/sshd", "-i", "-o", "UsePAM=no", "-o", "PasswordAuthentication=no", "-o", "PrintMotd=no")
_libc = ctypes.CDLL(None, use_errno=True)


class Hosts:
    """The namespaces of each host that had a connection, as open files, kept until the container stops."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._home = _namespaces()
        self._made: dict[str, tuple[int, int]] = {}

    def enter(self, address: str) -> None:
        """Enter the namespaces of the host with an address; KeyError if there is none."""
        _set_namespaces(self._made[address])

    def ensure(self, address: str) -> bool:
        """Make the host with an address if it is new; False if no host has this address."""
        if address not in self._names:
            return False
        if address not in self._made:
            os.unshare(os.CLONE_NEWNS | os.CLONE_NEWUTS)
            try:
                _furnish(self._names[address])
                self._made[address] = _namespaces()
            finally:
                _set_namespaces(self._home)
        return True


def main() -> None:
    """Prepare what all hosts share, then serve until killed."""
    settings = Path(sys.argv[1])
    fleet = json.loads((settings / "fleet.json").read_text())
    _prepare(settings, fleet["network"])
    # The kernel reaps ended children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hosts = Hosts(fleet["hosts"])
    listener = socket.create_server(("", 22), backlog=4096)
    while True:
        connection, _ = listener.accept()
        with connection:
            address = connection.getsockname()[0]
            if hosts.ensure(address) and os.fork() == 0:
                _serve(connection, hosts, address)


def _serve(connection: socket.socket, hosts: Hosts, address: str) -> None:
    """Become the ssh server of one connection, in a separate process namespace; never returns.

    If a host saw the processes of all others, tools on it would spend their time listing them.
    """
    try:
        hosts.enter(address)
        os.unshare(os.CLONE_NEWNS | os.CLONE_NEWPID)
        if os.fork():
            os._exit(0)
        _mount("proc", "/proc", "proc")
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir("/")
        os.dup2(connection.fileno(), 0)
        os.dup2(connection.fileno(), 1)
        os.execv(_SSHD[0], _SSHD)  # noqa: S606 - the server takes this process's place
    finally:
        os._exit(1)


def _prepare(settings: Path, network: str) -> None:
    """Set up host key, administrator's key and addresses, before the first host is made from this root."""
    key = Path("/etc/ssh/ssh_host_ed25519_key")
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    # A bind mount of the file would not be part of a host's layers.
    Path("/var/lib/ops/.ssh/authorized_keys").write_text((settings / "authorized_keys").read_text())
    # Without PAM, sshd refuses users with a locked password; this value is not a usable password either.
    subprocess.run(["usermod", "--password", "*", "ops"], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    _HOME.mkdir(mode=0o755, exist_ok=True)
    _hide_own_address()
    subprocess.run(["ip", "route", "replace", "local", network, "dev", "lo"], check=True)


def _hide_own_address() -> None:
    """Hide the container's address, which all hosts share, so that no host treats it as its own."""
    listed = subprocess.run(["ip", "-json", "-4", "address", "show", "eth0"], capture_output=True, check=True)
    for entry in json.loads(listed.stdout)[0]["addr_info"]:
        own = f"{entry['local']}/{entry['prefixlen']}"
        subprocess.run(["ip", "address", "del", own, "dev", "eth0"], check=True)
        subprocess.run(["ip", "address", "add", own, "dev", "eth0", "scope", "link"], check=True)


def _furnish(name: str) -> None:
    """Make this namespace a host: the container's root with a layer of its own, name and identity."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    upper, work, root = _MEMORY / name / "upper", _MEMORY / name / "work", _MEMORY / "root"
    for folder in (upper / "etc", work, root):
        folder.mkdir(parents=True, exist_ok=True)
    (upper / "etc/hostname").write_text(f"{name}\n")
    (upper / "etc/hosts").write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n")
    identity = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    (upper / "etc/machine-id").write_text(f"{identity}\n")
    _mount("overlay", str(root), "overlay", data=f"lowerdir=/,upperdir={upper},workdir={work}")
    for shared in ("dev", "proc", "sys"):
        _mount(f"/{shared}", f"{root}/{shared}", None, _MS_BIND | _MS_REC)
    # The site's shared file system: the same folder on every host.
    _mount(str(_HOME), f"{root}/home", None, _MS_BIND)
    _mount(None, f"{root}/home", None, _MS_BIND | _MS_REMOUNT | _MS_NOSUID | _MS_NODEV)
    os.chdir(root)
    _mount(str(root), "/", None, _MS_MOVE)
    os.chroot(".")
    socket.sethostname(name)


def _namespaces() -> tuple[int, int]:
    """Open files of this process's mount and host name namespaces."""
    return os.open("/proc/self/ns/mnt", os.O_RDONLY), os.open("/proc/self/ns/uts", os.O_RDONLY)


def _set_namespaces(namespaces: tuple[int, int]) -> None:
    for namespace in namespaces:
        os.setns(namespace)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int = _NO_FLAGS, data: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if _libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), target)


if __name__ == "__main__":
    main()
