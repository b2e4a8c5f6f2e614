"""Faults that tests inject into the hosts of a lab. Each is a context manager and undoes itself.

A fault exists only in the host's memory (mounts, firewall rules, queues), never on its disk. So it ends when
the host dies, and undoing it then does nothing. What NVIDIA's library says of GPUs is the exception. An error
that leaves the block gets a note that says which fault was active.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from pathlib import Path

from platformctl.errors import PlatformError
from platformctl.lab import devices, driver, podman, ssh
from platformctl.lab.lifecycle import Lab
from platformctl.lab.noted import Injection, Noted, noted

HostFault = Callable[[Lab, str], AbstractContextManager[None]]
"""A fault that needs only the lab and the name of a host."""

_NOT_LOCAL = ('iifname != "lo"', 'oifname != "lo"')
_LOSE = """\
table inet {table} {{
  chain input {{ type filter hook input priority raw; {arriving} drop; }}
  chain output {{ type filter hook output priority raw; {leaving} drop; }}
}}
"""
# Declared first, so that the table can be deleted whether it is there or not.
_REMOVE = "table inet {table} {{}}\ndelete table inet {table}\n"
# Mounts a file on a separate tmpfs over another file. If the other file does not exist, an empty one is
# created; it does no harm and stays.
_COVER = """\
set -e
mkdir -p /run/fault
mount -t tmpfs fault /run/fault
cat > /run/fault/file
chmod 644 /run/fault/file
[ -e "$0" ] || touch "$0"
mount --bind /run/fault/file "$0"
umount --lazy /run/fault
rmdir /run/fault
"""
# Unmounts only a fault's own mount; lazily, because a program that hangs may still have open files there.
_UNCOVER = 'if grep -q "^fault $0 " /proc/self/mounts; then umount --lazy "$0"; fi'
# The host's programs come with its mount namespace; they need to see their own entry in /proc.
_NETWORK, _FILES = ("--net",), ("--mount", "--pid")
_CLOCK = "/run/skewed-clock.so"
_PRELOAD = "/etc/ld.so.preload"


def _fault[**P](inject: Injection[P]) -> Noted[P]:
    return noted(inject, "fault")


@_fault
def killed(lab: Lab, host: str) -> Iterator[None]:
    """The host loses power. When the block ends, it boots again and answers."""
    target = lab.host(host)
    podman.run("kill", "--signal", "KILL", target.container)
    podman.run("wait", target.container)
    try:
        yield
    finally:
        if _state(lab, host) is not None:
            podman.run("start", target.container)
            ssh.await_banner(target)
            ssh.await_login(lab.state, target)


@_fault
def frozen(lab: Lab, host: str) -> Iterator[None]:
    """The host hangs: no process on it runs, but the kernel still answers pings."""
    container = lab.host(host).container
    podman.run("pause", container)
    try:
        yield
    finally:
        if _state(lab, host) == "paused":
            podman.run("unpause", container)


@_fault
def cut_off(lab: Lab, host: str) -> Iterator[None]:
    """Every packet to and from the host is silently dropped; open connections stay open."""
    with _lost(lab, host, "fault_cut_off", *_NOT_LOCAL):
        yield


@_fault
def parted(lab: Lab, host: str, other: str) -> Iterator[None]:
    """Every packet between two hosts is silently dropped; all other hosts reach both."""
    address = lab.host(other).address
    with _lost(lab, host, f"fault_parted_{int(address)}", f"ip saddr {address}", f"ip daddr {address}"):
        yield


@_fault
def walled(lab: Lab, host: str) -> Iterator[None]:
    """The host's firewall drops what arrives, except ssh and the answers to its own requests."""
    refused = "iif != lo ct state new tcp dport != 22"
    with (
        _lost(lab, host, "fault_walled", refused, "ip daddr 0.0.0.0"),
        _lost(lab, host, "fault_walled_udp", "iif != lo ct state new meta l4proto udp", "ip daddr 0.0.0.0"),
    ):
        yield


@_fault
def parted_pods(lab: Lab, host: str, other: str) -> Iterator[None]:
    """The pod network between two hosts is cut; the hosts themselves reach each other."""
    address, vxlan = lab.host(other).address, "udp dport 8472"
    table = f"fault_parted_pods_{int(address)}"
    with _lost(lab, host, table, f"ip saddr {address} {vxlan}", f"ip daddr {address} {vxlan}"):
        yield


@_fault
def slow(lab: Lab, host: str, kilobits: int = 256, loss: int = 2) -> Iterator[None]:
    """The host's link has this many kbit/s in each direction, and loses this many per cent of the packets.

    The link has a queue of up to two seconds. Many machines' kernels lack netem, so the only delay is the one
    that the rate causes.
    """
    link = ["tbf", "rate", f"{kilobits}kbit", "burst", "4kb", "latency", "2s"]
    lost = (f"{end} numgen random mod 100 < {loss}" for end in _NOT_LOCAL)
    try:
        _shape(lab, host, *link)
        with _lost(lab, host, "fault_slow", *lost):
            yield
    finally:
        if _pid(lab, host):
            _shape(lab, host, "noqueue")


@_fault
def full_disk(lab: Lab, host: str, path: str = "/var/cache/apt/archives") -> Iterator[None]:
    """A folder of the host is on a small, separate file system without free space."""
    fill = 'mkdir -p "$0" && mount -t tmpfs -o size=64k,mode=755 fault "$0" && ! cat /dev/zero > "$0/fault"'
    with _mounted(lab, host, fill, path):
        yield


@_fault
def without_sudo(lab: Lab, host: str) -> Iterator[None]:
    """The administrator may log in, but not become root."""
    with _mounted(lab, host, 'mount -t tmpfs -o mode=750 fault "$0"', "/etc/sudoers.d"):
        yield


@_fault
def other_system(lab: Lab, host: str, os_release: str) -> Iterator[None]:
    """The host reports another operating system; os_release is the text of that file."""
    with _mounted(lab, host, _COVER, "/usr/lib/os-release", os_release):
        yield


@_fault
def skewed_clock(lab: Lab, host: str, seconds: int) -> Iterator[None]:
    """Programs that start on the host read a wall clock that is this far ahead, or behind if negative.

    The kernel has one clock for all hosts of a machine, so libc returns the wrong time. Programs that do not
    ask libc (programs in Go, journald's own timestamps), and services that are not restarted, see the right
    time.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "clock.so"
        source = str(files("platformctl.lab") / "skewed_clock.c")
        _machine(["cc", "-shared", "-fPIC", "-O2", f"-DSKEW=({seconds})", "-o", str(library), source])
        # /run is in memory too, and running programs keep the library when its file is removed.
        _root(lab, host, _CLOCK).write_bytes(library.read_bytes())
    try:
        with _mounted(lab, host, _COVER, _PRELOAD, f"{_CLOCK}\n"):
            yield
    finally:
        if _pid(lab, host):
            _root(lab, host, _CLOCK).unlink(missing_ok=True)


def change_packet_rules(lab: Lab, host: str, rules: str) -> None:
    """Change a host's packet rules, with kube-proxy's own nft where it runs.

    An older nft may end with a segmentation fault when it reads the tables of a newer one.
    """
    network = Path(f"/proc/{_pid(lab, host)}/ns/net").readlink()
    owners = [path.parent for path in Path("/proc").glob("[0-9]*/comm") if _is_proxy(path, network)]
    root = ["chroot", str(owners[0] / "root")] if owners else []
    _enter(lab, host, _NETWORK, *root, "nft", "-f", "-", data=rules)


@_fault
def gpu_error(lab: Lab, host: str, file: str, xid: int = 79, words: str = "") -> Iterator[None]:
    """A simulated GPU has an Xid. When the block ends, its driver says that it needs nothing any more."""
    where = devices.address(file)
    _log(lab, host, f"NVRM: Xid (PCI:{where}): {xid}, {words or 'simulated by a fault'}")
    _answer(lab, host, file, xid=xid)
    try:
        yield
    finally:
        if _state(lab, host) == "running":
            _answer(lab, host, file, xid=0)
            action = "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
            _log(lab, host, f"NVRM: Xid (PCI:{where}): 154, {action}")


@_fault
def gpu_lost(lab: Lab, host: str, file: str) -> Iterator[None]:
    """NVIDIA's library says that a simulated GPU has fallen off the bus; the kernel's log says nothing."""
    _answer(lab, host, file, lost=1)
    try:
        yield
    finally:
        if _state(lab, host) == "running":
            _answer(lab, host, file, lost=0)


@_fault
def link_down(lab: Lab, host: str, file: str) -> Iterator[None]:
    """The port of a simulated RDMA device has no link."""
    state = _root(lab, host, devices.port_state(file))
    state.write_text("1: DOWN\n")
    try:
        yield
    finally:
        if _state(lab, host) == "running":
            _root(lab, host, devices.port_state(file)).write_text("4: ACTIVE\n")


def _answer(lab: Lab, host: str, file: str, **values: int) -> None:
    """Let the stand-in for NVIDIA's library answer this for a GPU from now on."""
    settings = _root(lab, host, driver.SETTINGS)
    partial = settings.with_name(f"{settings.name}.new")
    partial.write_text(driver.changed(settings.read_text(), file, values))
    # Replaced as a whole: whoever reads it sees the old or the new one.
    partial.replace(settings)


def _log(lab: Lab, host: str, words: str) -> None:
    """Add a record to the host's simulated kernel log, as /dev/kmsg shows it."""
    log = _root(lab, host, devices.KERNEL_LOG)
    number = len(log.read_text().splitlines())
    with log.open("a") as file:
        file.write(f"4,{number},{time.monotonic_ns() // 1000},-;{words}\n")


@contextmanager
def _lost(lab: Lab, host: str, table: str, arriving: str, leaving: str) -> Iterator[None]:
    """Packets that match the two nft conditions are dropped on the host."""
    rules = _LOSE.format(table=table, arriving=arriving, leaving=leaving)
    change_packet_rules(lab, host, rules)
    try:
        yield
    finally:
        if _pid(lab, host):
            change_packet_rules(lab, host, _REMOVE.format(table=table))


def _is_proxy(comm: Path, network: Path) -> bool:
    """Whether this is kube-proxy's, in this network namespace."""
    try:
        return comm.read_text() == "kube-proxy\n" and (comm.parent / "ns/net").readlink() == network
    except OSError:
        return False  # it has just ended


@contextmanager
def _mounted(lab: Lab, host: str, script: str, path: str, data: str = "") -> Iterator[None]:
    """A script mounts something named `fault` at a path of the host, for the time of the block."""
    try:
        _enter(lab, host, _FILES, "sh", "-c", script, path, data=data)
        yield
    finally:
        if _pid(lab, host):
            _enter(lab, host, _FILES, "sh", "-c", _UNCOVER, path)


def _shape(lab: Lab, host: str, *queue: str) -> None:
    """Set the queue of both ends of the host's link: its own, and the machine's."""
    shown = _enter(lab, host, _NETWORK, "ip", "-json", "link", "show", "eth0")
    index = json.loads(shown)[0]["link_index"]
    ours = {link["ifindex"]: link["ifname"] for link in json.loads(_machine(["ip", "-json", "link"]))}
    _enter(lab, host, _NETWORK, "tc", "qdisc", "replace", "dev", "eth0", "root", *queue)
    _machine(["tc", "qdisc", "replace", "dev", ours[index], "root", *queue])


def _root(lab: Lab, host: str, path: str) -> Path:
    """The path of a host's file on this machine."""
    return Path(f"/proc/{_pid(lab, host)}/root{path}")


def _enter(lab: Lab, host: str, namespaces: Sequence[str], *argv: str, data: str = "") -> str:
    """Run a program in namespaces of the host, from outside, so that it also works on a frozen host."""
    return _machine(["nsenter", "--target", str(_pid(lab, host)), *namespaces, *argv], data)


def _pid(lab: Lab, host: str) -> int:
    """The process id of the host's first process; 0 if it does not run."""
    return int(_inspect(lab, host, "{{.State.Pid}}") or 0)


def _state(lab: Lab, host: str) -> str | None:
    """podman's state: running, paused, exited; None if the host was removed."""
    return _inspect(lab, host, "{{.State.Status}}")


def _inspect(lab: Lab, host: str, template: str) -> str | None:
    done = podman.run("inspect", "--format", template, lab.host(host).container, check=False)
    return None if done.returncode else done.stdout.strip()


def _machine(argv: Sequence[str], data: str = "") -> str:
    """The output of a program on this machine."""
    done = subprocess.run(argv, capture_output=True, text=True, input=data, check=False)
    if done.returncode:
        raise PlatformError(
            f"a fault could not be made or undone: {done.stderr.strip()}", where=" ".join(argv)
        )
    return done.stdout
