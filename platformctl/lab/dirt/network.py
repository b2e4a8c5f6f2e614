"""A host whose network is closed, or whose names are wrong."""

import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager

from platformctl.lab.dirt.made import dirt, files, made
from platformctl.lab.lifecycle import Lab

# podman mounts both files, so they can be written and not replaced.
_RESOLVERS, _NAMES = "/etc/resolv.conf", "/etc/hosts"


@dirt
def resolver(lab: Lab, host: str, address: str) -> Iterator[None]:
    """The only name server of the host is this one."""
    with _line(lab, host, _RESOLVERS, f"nameserver {address}", ">"):
        yield


@dirt
def wrong_name(lab: Lab, host: str, address: str, name: str) -> Iterator[None]:
    """/etc/hosts of the host gives another host an address that it had once."""
    with _line(lab, host, _NAMES, f"{address} {name}", ">>"):
        yield


@dirt
def busy_packages(lab: Lab, host: str, seconds: int) -> Iterator[None]:
    """Another program has dpkg's lock for some seconds."""
    program = (
        "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','a'); "
        f"fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({seconds})"
    )
    make = f"systemd-run --quiet --collect --unit=dirt-packages python3 -c {shlex.quote(program)}"
    with made(lab, host, make, "systemctl stop dirt-packages 2>/dev/null || true"):
        yield


@dirt
def second_address(lab: Lab, host: str, address: str) -> Iterator[None]:
    """The host has another address of the lab's network too."""
    card = f"card=$(ip -o -4 address show to {lab.slot} | awk '{{print $2; exit}}')"
    change = f"{address}/{lab.slot.prefixlen} dev $card"
    with made(lab, host, f"{card}; ip address add {change}", f"{card}; ip address del {change}"):
        yield


@dirt
def dead_source(lab: Lab, host: str, url: str) -> Iterator[None]:
    """apt has a further source, which does not answer."""
    with files(lab, host, {"/etc/apt/sources.list.d/dirt.list": f"deb [trusted=yes] {url} stable main\n"}):
        yield


@dirt
def ssh_port(lab: Lab, host: str, port: int) -> Iterator[None]:
    """The host's ssh server listens on this port alone."""
    restart = "systemctl restart ssh"
    with (
        made(lab, host, "true", restart),
        files(lab, host, {"/etc/ssh/sshd_config.d/00-dirt.conf": f"Port {port}\n"}),
        made(lab, host, restart, "true"),
    ):
        yield


def _line(lab: Lab, host: str, path: str, line: str, how: str) -> AbstractContextManager[None]:
    kept = f"/run/dirt-{path.rpartition('/')[2]}"
    make = f"cp {path} {kept}; echo {shlex.quote(line)} {how} {path}"
    return made(lab, host, make, f"cat {kept} > {path}; rm {kept}")
