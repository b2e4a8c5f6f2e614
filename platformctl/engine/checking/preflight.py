"""Judges what host_probe found on all hosts: can platformctl install them, and if not, what to do.

Pure: makes findings from probes. The command and the role's filter plugin use the same judgement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from platformctl.engine.checking import (
    accounts,
    device_drivers,
    existing,
    floors,
    host_identity,
    node_parts,
    runtime_classes,
    shared_home,
)
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.engine.stages import STAGES
from platformctl.site.values import templated

__all__ = ["GIB", "Finding", "Level", "Subject", "judge", "peers_of"]

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


def judge(subjects: Sequence[Subject]) -> list[Finding]:
    """All findings in the order of the hosts; a host without errors has at least its `system` row."""
    findings = [finding for subject in subjects for check in _CHECKS for finding in check(subject)]
    findings += [*_duplicates(subjects), *existing.unmatched(subjects)]
    findings += [*accounts.judge(subjects), *shared_home.judge(subjects)]
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
    wanted: dict[int, str] = {}
    begun = subject.probe.get("existing", {}).get("begun", ())
    stages = [stage for stage in STAGES if stage.group in {"all", *subject.groups}]
    # What a stage of ours has, it has.
    ours = {port.number for stage in stages if stage.name in begun for port in stage.ports}
    stages = [stage for stage in stages if stage.name not in begun]
    for entry in (port.number for stage in stages for port in stage.ports if not port.udp):
        if callable(entry) or entry in ours:
            continue
        port = subject.setting(entry) if isinstance(entry, str) else entry
        if not templated(port):
            wanted[int(port)] = f", or set {entry} to another port" if isinstance(entry, str) else ""
    named = {
        port for entry in subject.probe.get("existing", {}).get("findings", ()) for port in entry["ports"]
    }
    for port in sorted((set(wanted) & set(subject.probe["listening"])) - named):
        remedy = f"stop what listens there (ss -ltnp 'sport = :{port}'){wanted[port]}"
        yield Finding(subject.name, "port", Level.ERROR, f"TCP port {port} is in use", remedy)


def _foreign(subject: Subject) -> Iterator[Finding]:
    site = subject.probe["site"]
    if site and site != subject.site:
        remedy = f"run platformctl reset for site {site} first, or take the host out of this inventory"
        yield Finding(subject.name, "site", Level.ERROR, f"belongs to site {site}", remedy)


def _reach(subject: Subject) -> Iterator[Finding]:
    lost = {name: why for name, why in subject.probe["reach"].items() if why}
    if lost:
        unreached = ", ".join(f"{name} ({why})" for name, why in sorted(lost.items()))
        remedy = "check routes and firewalls between the hosts"
        yield Finding(subject.name, "reach", Level.WARNING, f"cannot reach {unreached}", remedy)


_IDENTITY = (host_identity.name, host_identity.address, host_identity.size)


def _proxy(subject: Subject) -> Iterator[Finding]:
    proxy = subject.probe.get("proxy")
    if proxy and not subject.setting("site_http_proxy"):
        found = f"/etc/environment names the proxy {proxy}, which platformctl does not use"
        remedy = f"if apt needs it there: site_http_proxy: {proxy}"
        yield Finding(subject.name, "proxy", Level.WARNING, found, remedy)


_CHECKS = (
    *(_system, _rights, _clock, _space, _kernel, _ports, _proxy, _foreign),
    *(*existing.CHECKS, *_IDENTITY, node_parts.check, device_drivers.check, runtime_classes.check),
    *(floors.judge, _reach),
)


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


def peers_of[Place](name: str, addresses: Mapping[str, Place], most: int = 8) -> dict[str, Place]:
    """The other hosts a host should try to reach: its next neighbours in the inventory's circle, at most 8.

    Bounded, so that the cost per host does not grow with the fleet. Every host is a neighbour of another.
    """
    names = list(addresses)
    start = names.index(name) + 1
    circle = [names[(start + offset) % len(names)] for offset in range(len(names) - 1)]
    return {other: addresses[other] for other in circle[:most]}
