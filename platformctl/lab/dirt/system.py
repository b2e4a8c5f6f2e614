"""A host whose own settings are not what the inventory expects."""

import shlex
from collections.abc import Iterator

from platformctl.lab.dirt.made import dirt, files, made
from platformctl.lab.lifecycle import Lab


@dirt
def renamed(lab: Lab, host: str, name: str) -> Iterator[None]:
    """The host calls itself something else."""
    with made(lab, host, f"hostname {shlex.quote(name)}", f"hostname {shlex.quote(host)}"):
        yield


@dirt
def machine_id(lab: Lab, host: str, value: str) -> Iterator[None]:
    """The host was cloned, and has the machine id of its original."""
    with files(lab, host, {"/etc/machine-id": f"{value}\n"}):
        yield


@dirt
def without_python(lab: Lab, host: str) -> Iterator[None]:
    """The host has no Python, as many images of clouds and a minimal installation."""
    hide = "mv /usr/bin/python3 /usr/bin/python3.dirt"
    with made(lab, host, hide, "mv /usr/bin/python3.dirt /usr/bin/python3"):
        yield


@dirt
def sudo_settings(lab: Lab, host: str, *settings: str) -> Iterator[None]:
    """sudo has these defaults, such as `requiretty`."""
    text = "".join(f"Defaults {setting}\n" for setting in settings)
    with files(lab, host, {"/etc/sudoers.d/00-dirt": text}):
        yield


@dirt
def no_programs_in_tmp(lab: Lab, host: str) -> Iterator[None]:
    """No program may be started from /tmp and /var/tmp."""
    mount = "mount -t tmpfs -o mode=1777,noexec,nosuid,nodev dirt"
    with made(lab, host, f"{mount} /tmp && {mount} /var/tmp", "umount --lazy /tmp /var/tmp"):
        yield


@dirt
def name_of_loopback(lab: Lab, host: str) -> Iterator[None]:
    """The host's own name means 127.0.1.1, as Debian's installer writes it."""
    known = "127.0.0.1 localhost\n127.0.1.1 " + host + "\n::1 localhost ip6-localhost\n"
    # podman mounts this file, so it can be written and not replaced.
    restore = "cat /run/dirt-hosts > /etc/hosts; rm /run/dirt-hosts"
    make = f"cp /etc/hosts /run/dirt-hosts; printf %s {shlex.quote(known)} > /etc/hosts"
    with made(lab, host, make, restore):
        yield


@dirt
def listener(lab: Lab, host: str, port: int) -> Iterator[None]:
    """A program of somebody else listens on a TCP port."""
    program = (
        "import socket,time; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
        f"s.bind(('0.0.0.0', {port})); s.listen(); time.sleep(86400)"
    )
    unit = f"dirt-listener-{port}"
    make = (
        f"systemd-run --quiet --unit={unit} python3 -c {shlex.quote(program)}; "
        f"for try in 1 2 3 4 5 6 7 8 9; do ss -ltn 'sport = :{port}' | grep -q LISTEN && exit 0; "
        "sleep 0.3; done; exit 1"
    )
    with made(lab, host, make, f"systemctl stop {unit}"):
        yield
