"""Judges what host_probe found on all hosts: can platformctl install them, and if not, what to do.

Pure: makes findings from probes. The command and the role's filter plugin use the same judgement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from platformctl import paths
from platformctl.engine.stages import STAGES
from platformctl.site.values import templated
from platformctl.site.variables import known

Probe = Mapping[str, Any]

GIB = 1024**3
_SUPPORTED = {("debian", "13"): "Debian 13"}
_UNTESTED = {("debian", "12"), ("ubuntu", "24.04")}
_ARCHITECTURES = ("x86_64", "aarch64")
_OLDEST_PYTHON = (3, 9)
_DISK_NEEDED, _DISK_WANTED = 3 * GIB, 10 * GIB
# The kubelet's default for imagefs.available.
_DISK_SHARE = 0.15
_KUBERNETES = frozenset({"kubernetes_control_plane", "kubernetes_node"})
# kubeadm asks for 1700 MB on a control plane.
_MEMORY_NEEDED = {"kubernetes_control_plane": 1_700_000_000}
_MEMORY_WANTED = 1 * GIB
_CLOCK_ERROR, _CLOCK_WARNING = 30.0, 5.0


class Level(StrEnum):
    """error: the host cannot be installed. warning: it can, but somebody should check it."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Subject:
    """A host to judge: its name, address, groups of the inventory, the site's name, and its probe.

    clock_window: seconds between reading the operator's clock and the host's answer. variables: what the
    inventory sets for it; a value that still holds Jinja is not judged.
    """

    name: str
    address: str
    groups: frozenset[str]
    site: str
    probe: Probe
    clock_window: float = 0.0
    variables: Mapping[str, Any] = field(default_factory=dict)

    def setting(self, name: str) -> Any:
        """A variable's value, or the default that its role documents."""
        return self.variables.get(name, known(paths.data_dir())[name].default)


@dataclass(frozen=True)
class Finding:
    """One check of one host: what was found, and the remedy if it is not ok."""

    host: str
    check: str
    level: Level
    found: str
    remedy: str = ""


def judge(subjects: Sequence[Subject]) -> list[Finding]:
    """All findings in the order of the hosts; a host without errors has at least its `system` row."""
    findings = [finding for subject in subjects for check in _CHECKS for finding in check(subject)]
    findings += _duplicates(subjects)
    position = {subject.name: index for index, subject in enumerate(subjects)}
    return sorted(findings, key=lambda finding: position[finding.host])


def _system(subject: Subject) -> Iterator[Finding]:
    system = subject.probe["os"]
    name = str(system["name"])
    key = (system["id"], system["version"])
    supported = " or ".join(_SUPPORTED.values())
    if key in _UNTESTED:
        remedy = f"nobody has tested this one; install {supported}"
        yield Finding(subject.name, "system", Level.ERROR, name, remedy)
    elif key not in _SUPPORTED:
        yield Finding(subject.name, "system", Level.ERROR, name, f"install {supported}")
    else:
        yield Finding(subject.name, "system", Level.OK, name)
    if subject.probe["arch"] not in _ARCHITECTURES:
        remedy = f"use a host with {' or '.join(_ARCHITECTURES)}"
        yield Finding(subject.name, "architecture", Level.ERROR, str(subject.probe["arch"]), remedy)


def _rights(subject: Subject) -> Iterator[Finding]:
    if subject.probe["uid"] != 0:
        remedy = "let the user become root with sudo, without a password"
        yield Finding(subject.name, "sudo", Level.ERROR, "commands do not run as root", remedy)
    version = tuple(int(part) for part in str(subject.probe["python"]).split(".")[:2])
    if version < _OLDEST_PYTHON:
        remedy = "install Python 3.9 or newer"
        yield Finding(subject.name, "python", Level.ERROR, f"Python {subject.probe['python']}", remedy)


def _clock(subject: Subject) -> Iterator[Finding]:
    offset = subject.probe["clock_offset"]
    if offset is None:
        return
    # The host's clock was read at some time in the window, so an offset within it may be the wait alone.
    offset = min(offset, max(offset - subject.clock_window, 0.0))
    if abs(offset) < _CLOCK_WARNING:
        return
    level = Level.ERROR if abs(offset) >= _CLOCK_ERROR else Level.WARNING
    direction = "ahead of" if offset > 0 else "behind"
    gap = f"{abs(offset):.0f} s {direction} this machine"
    yield Finding(subject.name, "clock", level, gap, "set up time synchronisation (chrony) there, or here")


def _space(subject: Subject) -> Iterator[Finding]:
    for path, free in subject.probe["disk_free"].items():
        if free < _DISK_WANTED:
            level = Level.ERROR if free < _DISK_NEEDED else Level.WARNING
            remedy = f"free space: {_DISK_NEEDED // GIB} GiB are needed, {_DISK_WANTED // GIB} GiB are good"
            yield Finding(subject.name, "disk", level, f"{free / GIB:.1f} GiB free at {path}", remedy)
        share = free / subject.probe["disk_size"][path]
        if share < _DISK_SHARE and subject.groups & _KUBERNETES:
            remedy = (
                f"free space: below {_DISK_SHARE:.0%} a kubelet takes no pods (evictionHard in "
                "kubernetes_kubelet_overrides says otherwise)"
            )
            yield Finding(subject.name, "disk", Level.WARNING, f"{share:.0%} free at {path}", remedy)
    memory = subject.probe["memory"]
    needed = max((_MEMORY_NEEDED.get(group, 0) for group in subject.groups), default=0)
    if memory < max(needed, _MEMORY_WANTED):
        level = Level.ERROR if memory < needed else Level.WARNING
        remedy = f"give it {max(needed, _MEMORY_WANTED) / GIB:.1f} GiB or more"
        yield Finding(subject.name, "memory", level, f"{memory / GIB:.1f} GiB", remedy)


def _kernel(subject: Subject) -> Iterator[Finding]:
    if subject.probe["cgroup"] != "v2":
        remedy = "boot with systemd.unified_cgroup_hierarchy=1; limits of jobs and pods are weaker without"
        yield Finding(subject.name, "cgroup", Level.WARNING, f"cgroup {subject.probe['cgroup']}", remedy)
    # The kubelet's own default of failSwapOn is true: it does not start on a host with swap.
    overrides = subject.setting("kubernetes_kubelet_overrides")
    refuses = overrides if templated(overrides) else overrides.get("failSwapOn", True)
    if subject.probe["swap"] and subject.groups & _KUBERNETES and refuses is not False:
        swap = f"{subject.probe['swap'] / GIB:.1f} GiB of swap"
        remedy = (
            "switch swap off (swapoff -a, /etc/fstab), or let the kubelet run with it (failSwapOn: false in "
            "kubernetes_kubelet_overrides)"
        )
        level = Level.WARNING if templated(refuses) else Level.ERROR
        yield Finding(subject.name, "swap", level, swap, remedy)


def _ports(subject: Subject) -> Iterator[Finding]:
    if subject.probe["site"]:
        return
    wanted: dict[int, str] = {}
    stages = (stage for stage in STAGES if stage.group in {"all", *subject.groups})
    for entry in (entry for stage in stages for entry in stage.ports):
        port = subject.setting(entry) if isinstance(entry, str) else entry
        if not templated(port):
            wanted[int(port)] = f", or set {entry} to another port" if isinstance(entry, str) else ""
    for port in sorted(set(wanted) & set(subject.probe["listening"])):
        remedy = f"stop what listens there (ss -ltnp 'sport = :{port}'){wanted[port]}"
        yield Finding(subject.name, "port", Level.ERROR, f"TCP port {port} is in use", remedy)


def _foreign(subject: Subject) -> Iterator[Finding]:
    site = subject.probe["site"]
    if site and site != subject.site:
        remedy = f"run platformctl reset for site {site} first, or take the host out of this inventory"
        yield Finding(subject.name, "site", Level.ERROR, f"belongs to site {site}", remedy)
    for what in subject.probe["foreign"] if not site else ():
        level = Level.WARNING if what == "docker" else Level.ERROR
        remedy = f"remove {what}, or take the host out of the inventory"
        yield Finding(
            subject.name, "existing", level, f"{what} is there, not installed by platformctl", remedy
        )


def _identity(subject: Subject) -> Iterator[Finding]:
    hostname = str(subject.probe["hostname"]).split(".")[0]
    if hostname != subject.name.split(".")[0]:
        remedy = "name the host as in the inventory (hostnamectl set-hostname), or the other way round"
        yield Finding(subject.name, "hostname", Level.ERROR, f"calls itself {hostname}", remedy)
    addresses = subject.probe["addresses"]
    if addresses and subject.address[:1].isdigit() and subject.address not in addresses:
        mismatch = f"{subject.address} is none of its own ({', '.join(addresses)})"
        remedy = "give the address that other hosts reach it by as ansible_host"
        yield Finding(subject.name, "address", Level.WARNING, mismatch, remedy)


def _reach(subject: Subject) -> Iterator[Finding]:
    lost = {name: why for name, why in subject.probe["reach"].items() if why}
    if lost:
        unreached = ", ".join(f"{name} ({why})" for name, why in sorted(lost.items()))
        remedy = "check routes and firewalls between the hosts"
        yield Finding(subject.name, "reach", Level.WARNING, f"cannot reach {unreached}", remedy)


_CHECKS = (_system, _rights, _clock, _space, _kernel, _ports, _foreign, _identity, _reach)


def _duplicates(subjects: Sequence[Subject]) -> Iterable[Finding]:
    kinds = (
        ("hostname", Level.ERROR, "give every host a name of its own"),
        ("machine_id", Level.WARNING, "rm /etc/machine-id && systemd-machine-id-setup, then reboot"),
    )
    for key, level, remedy in kinds:
        same: dict[str, list[str]] = defaultdict(list)
        for subject in subjects:
            if subject.probe[key]:
                same[subject.probe[key]].append(subject.name)
        for value, names in same.items():
            for name in names if len(names) > 1 else ():
                others = ", ".join(other for other in names if other != name)
                yield Finding(name, key.replace("_", " "), level, f"{value} is also that of {others}", remedy)


def peers_of(name: str, addresses: Mapping[str, str], most: int = 8) -> dict[str, str]:
    """The other hosts a host should try to reach: its next neighbours in the inventory's circle, at most 8.

    Bounded, so that the cost per host does not grow with the fleet. Every host is a neighbour of another.
    """
    names = list(addresses)
    start = names.index(name) + 1
    circle = [names[(start + offset) % len(names)] for offset in range(len(names) - 1)]
    return {other: addresses[other] for other in circle[:most]}
