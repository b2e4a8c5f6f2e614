"""Why ssh could not reach a host, from ssh's own message, and the remedy for each cause."""

import contextlib
import re
import shlex
from dataclasses import dataclass

from platformctl.engine.fleet import Connection

# Older versions quote with ", newer ones with '.
_REMOVE = re.compile(r"ssh-keygen -f .* -R .*\S")
_OFFENDING = re.compile(r"^Offending .*? in (?P<file>.+):\d+\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Cause:
    """sign: part of ssh's message. words: the rest of a sentence about the host. remedy: with {fields}."""

    sign: str
    words: str
    remedy: str


# The first one whose sign is in the message applies.
_CAUSES = (
    Cause(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "shows another ssh key than before",
        "if it was reinstalled: {forget}, then accept its new key: {ssh}; if it was not, "
        "another machine may be using its address",
    ),
    Cause(
        "Host key verification failed",
        "has an ssh key that this machine does not know yet",
        "look at its key and accept it once: {ssh}",
    ),
    Cause(
        "UNPROTECTED PRIVATE KEY FILE",
        "does not let its user in, because others can read the key file",
        "chmod 600 {key}",
    ),
    Cause(
        "Permission denied",
        "does not let its user in",
        "put your ssh key into the file ~/.ssh/authorized_keys of {user} there, or set ansible_user and "
        "ansible_ssh_private_key_file to one that may log in",
    ),
    Cause(
        "Could not resolve hostname",
        "has an address that cannot be resolved",
        "set its ansible_host to an address, or to a name that this machine can look up",
    ),
    Cause(
        "Connection refused",
        "answers, but has no ssh server on that port",
        "start its ssh server, or set ansible_port to the port it listens on",
    ),
    Cause(
        "no answer within",
        "does not answer in time",
        "start it if it is off; if it runs, see what slows it or the network down: {ssh} uptime",
    ),
)
_SILENT = Cause(
    "", "does not answer", "start it, and check that the network lets {ssh} through from this machine"
)


def cause(said: str) -> Cause:
    """The cause of a connection that failed. said: what ssh wrote to standard error."""
    return next((known for known in _CAUSES if known.sign in said), _SILENT)


def remedy(said: str, connection: Connection) -> str:
    """The remedy for a connection that failed."""
    return cause(said).remedy.format(**_fields(said, connection))


def _fields(said: str, connection: Connection) -> dict[str, str]:
    return {
        "ssh": _command(connection),
        "forget": _forget(said, connection),
        "user": connection.user or "you",
        "key": connection.key or "the key file",
    }


def _command(connection: Connection) -> str:
    """How ssh connects there, with the inventory's options: they may name another file of known hosts."""
    port = [] if connection.port == 22 else ["-p", str(connection.port)]
    user = f"{connection.user}@" if connection.user else ""
    return shlex.join(["ssh", *connection.arguments, *port, f"{user}{connection.address}"])


def _forget(said: str, connection: Connection) -> str:
    """The command that removes the old key: ssh's own, else by the file in which ssh found that key."""
    if match := _REMOVE.search(said):
        with contextlib.suppress(ValueError):
            return shlex.join(shlex.split(match[0]))
    name = connection.address if connection.port == 22 else f"[{connection.address}]:{connection.port}"
    place = _OFFENDING.search(said)
    return shlex.join(["ssh-keygen", *(["-f", place["file"]] if place else []), "-R", name])
