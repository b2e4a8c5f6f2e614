"""Judges whether a node has what its runtime classes need: programs, devices, containerd for namespaces.

Without it the kubelet would take their pods and fail to start each of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.site import runtimes

_CHECK = "runtime class"
_NAMESPACES_SINCE = (2, 0)


def question(variables: Mapping[str, Any], host: str, groups: Iterable[str]) -> dict[str, Any]:
    """What a host's probe is asked for its classes. What platformctl installs itself is not looked for."""
    rows = runtimes.of_host(variables, host, groups)
    programs = (name for row in rows if not row.kind.packages for name in row.programs)
    return {
        "programs": list(dict.fromkeys(programs)),
        "devices": list(dict.fromkeys(file for row in rows for file in row.devices)),
        "containerd": any(row.kind.namespaces for row in rows),
    }


def check(subject: Subject) -> Iterator[Finding]:
    """What the host lacks, by class. A host that was not asked has no findings."""
    answer = subject.probe.get("parts") or {}
    for row in runtimes.of_host(subject.variables, subject.name, subject.groups):
        lacking = [name for name in row.programs if name in (answer.get("no_programs") or ())]
        lacking += [path for path in row.devices if path in (answer.get("no_nodes") or ())]
        if lacking:
            found = f"{row.name} needs {' and '.join(lacking)}, and the host has no such thing"
            remedy = row.kind.remedy or "install it there"
            if "/dev/kvm" in lacking:
                remedy = "use a host with hardware virtualisation, and turn it on in its firmware"
            yield _error(subject, found, f"{remedy}; or leave this host out of its nodes")
        if row.kind.namespaces:
            yield from _namespaces(subject, row.name, answer)


def _namespaces(subject: Subject, name: str, answer: Mapping[str, Any]) -> Iterator[Finding]:
    version = str(answer.get("containerd") or "")
    if version and _number(version) < _NAMESPACES_SINCE:
        found = f"{name} needs containerd 2 for users of a pod's own, and the host has {version}"
        remedy = "install containerd 2 there (containerd_packages), or leave this host out of its nodes"
        yield _error(subject, found, remedy)
    if answer.get("namespaces") == 0:
        found = f"{name} needs user namespaces, and the kernel allows none"
        yield _error(subject, found, "set user.max_user_namespaces there, as in sysctl.d(5)")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _error(subject: Subject, found: str, remedy: str) -> Finding:
    return Finding(subject.name, _CHECK, Level.ERROR, found, remedy)
