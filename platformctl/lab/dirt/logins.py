"""Hosts whose logins, environments and permissions are their owner's own."""

import shlex
from collections.abc import Iterator

from platformctl.lab.dirt.made import dirt, files, made, proxied
from platformctl.lab.lifecycle import Lab

_USER = "ops"
# Sessions that are open keep the shell that they began with.
_END_SESSIONS = f"pkill --uid {_USER} sshd || true"
_HOME = f"home=$(getent passwd {_USER} | cut -d: -f6)"
_PROXY = "http://192.0.2.1:3128"
_PROXIES = "\n".join(
    [
        *(f"{name}={_PROXY}" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")),
        "no_proxy=localhost",
        "",
    ]
)
_SUDO = 'Defaults env_keep += "http_proxy https_proxy HTTP_PROXY HTTPS_PROXY no_proxy"\n'
_PAM = "/etc/pam.d/common-session-noninteractive"


@dirt
def noisy_shell(lab: Lab, host: str, line: str) -> Iterator[None]:
    """The administrator's ~/.bashrc prints a line for every command."""
    add = f"echo {shlex.quote(line)} # dirt"
    make = (
        f"{_HOME}; touch $home/.bashrc; "
        f"printf '%s\\n' {shlex.quote(add)} | cat - $home/.bashrc > $home/.new; "
        "cat $home/.new > $home/.bashrc; rm $home/.new"
    )
    with made(lab, host, make, f"{_HOME}; sed -i '/# dirt$/d' $home/.bashrc"):
        yield


@dirt
def no_shell(lab: Lab, host: str) -> Iterator[None]:
    """The administrator's login shell runs no commands."""
    make = f"usermod --shell /usr/sbin/nologin {_USER}; {_END_SESSIONS}"
    with made(lab, host, make, f"usermod --shell /bin/bash {_USER}; {_END_SESSIONS}"):
        yield


@dirt
def c_shell(lab: Lab, host: str) -> Iterator[None]:
    """The administrator's login shell is tcsh, which is no POSIX shell."""
    make = (
        f"apt-get -qq update && apt-get -qq -y install tcsh >/dev/null && usermod --shell /bin/tcsh {_USER}"
        f" && {{ {_END_SESSIONS}; }}"
    )
    undo = f"usermod --shell /bin/bash {_USER}; {_END_SESSIONS}; apt-get -qq -y purge tcsh >/dev/null"
    with proxied(lab, host), made(lab, host, make, undo):
        yield


@dirt
def proxies(lab: Lab, host: str) -> Iterator[None]:
    """A proxy for everything: in /etc/environment, kept by sudo, and for all services. It does not answer."""
    manager = "[Manager]\nDefaultEnvironment=" + " ".join(_PROXIES.split()) + "\n"
    contents = {
        "/etc/environment": _PROXIES,
        "/etc/sudoers.d/dirt": _SUDO,
        "/etc/systemd/system.conf.d/dirt.conf": manager,
    }
    reload = "systemctl daemon-reload"
    with files(lab, host, contents), made(lab, host, reload, "true"):
        yield


@dirt
def strict_umask(lab: Lab, host: str) -> Iterator[None]:
    """New files are for their owner alone, by PAM, also in sudo's sessions."""
    make = f"echo 'session optional pam_umask.so umask=077 # dirt' >> {_PAM}"
    with made(lab, host, make, f"sed -i '/# dirt$/d' {_PAM}"):
        yield


@dirt
def damaged_record(lab: Lab, host: str) -> Iterator[None]:
    """What platformctl keeps on the host about itself is cut off."""
    record = "/var/lib/platformctl/digests.json"
    with made(lab, host, f"truncate --size=100 {record}", "true"):
        yield
