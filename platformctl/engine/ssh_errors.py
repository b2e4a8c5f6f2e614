"""Why ssh could not reach a host, from ssh's own message, and the remedy for each cause."""

import re
from dataclasses import dataclass

from platformctl.engine.fleet import Connection

_FORGET = re.compile(r'ssh-keygen -f "?(?P<file>[^"\s]+)"? -R "?(?P<name>[^"\s]+)"?')


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
    port = "" if connection.port == 22 else f"-p {connection.port} "
    user = f"{connection.user}@" if connection.user else ""
    name = connection.address if connection.port == 22 else f"[{connection.address}]:{connection.port}"
    match = _FORGET.search(said)
    file, name = (f"-f {match['file']} ", match["name"]) if match else ("", name)
    return {
        "ssh": f"ssh {port}{user}{connection.address}",
        "forget": f"ssh-keygen {file}-R '{name}'",
        "user": connection.user or "you",
        "key": connection.key or "the key file",
    }
