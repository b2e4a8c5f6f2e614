"""Faults that tests inject into the hosts of a lab. Each is a context manager and undoes itself."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from platformctl.errors import PlatformError
from platformctl.lab import podman, ssh
from platformctl.lab.lifecycle import Lab

HostFault = Callable[[Lab, str], AbstractContextManager[None]]
"""A fault that needs only the lab and the name of a host."""

_SUDO_RULE = "/etc/sudoers.d/ops"
_OS_RELEASE = "/usr/lib/os-release"
_CUT = """\
table inet fault {
  chain input { type filter hook input priority raw; iifname != "lo" drop; }
  chain output { type filter hook output priority raw; oifname != "lo" drop; }
}
"""


@contextmanager
def killed(lab: Lab, host: str) -> Iterator[None]:
    """The host loses its power; afterwards it boots again, and answers when the block is left."""
    target = lab.host(host)
    podman.run("kill", "--signal", "KILL", target.container)
    podman.run("wait", target.container)
    try:
        yield
    finally:
        podman.run("start", target.container)
        ssh.await_banner(target)
        ssh.await_login(lab.state, target)


@contextmanager
def frozen(lab: Lab, host: str) -> Iterator[None]:
    """The host hangs: its address still answers pings of the kernel, and no process on it runs."""
    container = lab.host(host).container
    podman.run("pause", container)
    try:
        yield
    finally:
        podman.run("unpause", container)


@contextmanager
def cut_off(lab: Lab, host: str) -> Iterator[None]:
    """Every packet to and from the host is lost without a word; open connections stay open."""
    pid = podman.run("inspect", "--format", "{{.State.Pid}}", lab.host(host).container).stdout.strip()
    inside = ["nsenter", "--target", pid, "--net", "nft"]
    _machine([*inside, "-f", "-"], data=_CUT)
    try:
        yield
    finally:
        _machine([*inside, "delete", "table", "inet", "fault"])


@contextmanager
def full_disk(lab: Lab, host: str, path: str = "/var/cache/apt/archives") -> Iterator[None]:
    """The file system at a folder of the host has no byte left. It is a small one of its own."""
    _on(lab, host, "mkdir", "-p", path)
    _on(lab, host, "mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "fault", path)
    try:
        # dd ends with an error when nothing more fits, which is the purpose.
        lab.exec(host, ["dd", "if=/dev/zero", f"of={path}/fault", "bs=4k", "status=none"])
        yield
    finally:
        # Lazily: a program that the full disk made hang may still have files open there.
        _on(lab, host, "umount", "--lazy", path)


@contextmanager
def without_sudo(lab: Lab, host: str) -> Iterator[None]:
    """The administrator may log in and not become root."""
    aside = "/root/sudo-rule"
    _on(lab, host, "mv", _SUDO_RULE, aside)
    try:
        yield
    finally:
        _on(lab, host, "mv", aside, _SUDO_RULE)


@contextmanager
def other_system(lab: Lab, host: str, os_release: str) -> Iterator[None]:
    """The host says that it runs another operating system; os_release is the text of that file."""
    aside = "/root/os-release"
    _on(lab, host, "mv", _OS_RELEASE, aside)
    try:
        _on(lab, host, "tee", _OS_RELEASE, data=os_release)
        yield
    finally:
        _on(lab, host, "mv", aside, _OS_RELEASE)


def _on(lab: Lab, host: str, *argv: str, data: str | None = None) -> None:
    done = lab.exec(host, argv, data=data)
    if done.returncode:
        raise PlatformError(
            f"a fault could not be made or undone: {done.stderr.strip()}", where=f"{host}: {argv}"
        )


def _machine(argv: Sequence[str], data: str | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, input=data, check=False)
    if done.returncode:
        raise PlatformError(
            f"a fault could not be made or undone: {done.stderr.strip()}", where=" ".join(argv)
        )
