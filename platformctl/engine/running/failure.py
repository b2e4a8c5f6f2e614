"""What a failed task said: the message of Ansible and the words of the program that failed."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

_LINES = 12
_LONGEST_COMMAND = 80
# A script runs on a terminal: its own errors are in its output, and ssh's last line is the only other one.
_CLOSED = re.compile(r"^Shared connection to \S+ closed\.\s*$", re.MULTILINE)
_HINTS = {
    "No space left on device": "the disk of this host is full",
    "Could not get lock /var/lib/dpkg": "another program is installing packages on this host",
    "Missing sudo password": "the user may not use sudo without a password there",
    "Access denied for user 'root'@'localhost'": (
        "MariaDB's root has a password on this host; set slurm_accounting_database_root_password to it, "
        "encrypted with ansible-vault, or let root in through the socket (ALTER USER root@localhost "
        "IDENTIFIED VIA unix_socket)"
    ),
}


def words(result: Mapping[str, Any], printed: str = "") -> str:
    """The message of a failed task, and the end of what its program wrote.

    result: of the task, as Ansible reports it. printed: what Ansible printed for it, for a result that says
    nothing.
    """
    lines: list[str] = []
    for part in _parts(result):
        lines += [line for line in part.splitlines() if line.strip() and line not in lines]
    text = "\n".join(lines) or printed.strip() or _silent(result)
    return with_hint(text)


def with_hint(text: str) -> str:
    """The message, with its meaning before it if that is known."""
    hint = next((meaning for sign, meaning in _HINTS.items() if sign in text), "")
    return f"{hint}: {text}" if hint else text


def _parts(result: Mapping[str, Any]) -> Iterator[str]:
    """The message, the failed items of a loop, and the output: of standard error, else of standard output."""
    items = [item for item in result.get("results") or [] if _failed(item)]
    if not items:
        yield _message(result)
    for item in items:
        name = item.get("item")
        said = "\n".join(_parts(item)) or _silent(item)
        yield f"{name}: {said}" if isinstance(name, str | int) else said
    for streams in (("stderr", "module_stderr"), ("stdout", "module_stdout")):
        written = [_CLOSED.sub("", str(result.get(stream) or "")).strip() for stream in streams]
        if any(written):
            yield from ("\n".join(text.splitlines()[-_LINES:]) for text in written)
            return


def _failed(item: Any) -> bool:
    return isinstance(item, Mapping) and bool(item.get("failed") or item.get("unreachable"))


def _message(result: Mapping[str, Any]) -> str:
    """Ansible's message; for a command, which program ended with which exit status."""
    message = str(result.get("msg") or "")
    if "non-zero return code" in message:
        command = _command(result.get("cmd"))
        return f"{command} ended with exit status {result.get('rc')}" if command else message
    if message or "exception" not in result:
        return message
    # The last line of a Python exception says what was wrong.
    return str(result["exception"]).strip().rpartition("\n")[2]


def _silent(result: Mapping[str, Any]) -> str:
    if result.get("censored"):
        return f"{result['censored']}"
    status = f"exit status {result['rc']}" if "rc" in result else "no exit status"
    return f"it failed with {status} and wrote nothing"


def _command(command: Any) -> str:
    """A command for people; nothing for a script or a long command."""
    text = shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")
    return text if len(text) <= _LONGEST_COMMAND and "\n" not in text else ""
