"""The shell in which everything runs on hosts, whatever their login shells and environments say.

Ansible's modules (playbooks/shell_plugins) and short commands (engine/remote.py) use the same one: a POSIX
shell with umask 022 and an environment of our own. So neither proxies that sudo keeps, nor pam_umask, nor
odd locales reach what is installed.
"""

import base64
import re
import secrets
import shlex
from dataclasses import dataclass

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENVIRONMENT = (
    f'env --ignore-environment PATH="{_PATH}:$PATH" HOME="$HOME" USER="$USER" LOGNAME="$LOGNAME" '
    "SHELL=/bin/sh LANG=C.UTF-8 LC_ALL=C.UTF-8 KUBECTL_KUBERC=false"
)
"""The words before a command of a POSIX shell that give it our environment."""

UMASK = "umask 022"


def clean(command: str) -> str:
    """A command of a POSIX shell with our umask and environment."""
    return f"{UMASK}; {ENVIRONMENT} {command}"


@dataclass(frozen=True)
class Framed:
    """What a command printed. code: its exit status; None: it did not run to its end.

    before: lines on standard output that something else printed before it, such as a login shell's files.
    """

    code: int | None
    out: str
    err: str
    before: tuple[str, ...] = ()


class Frame:
    """Runs one script so that its output can be told from what login shells and wrappers print.

    A random token stands before and after the output. skips_to_token: whether the script's input comes after
    a line with the token; what is before it, such as a password that sudo did not ask for, is dropped.
    own_environment: False for this machine, whose environment is our own already.
    """

    def __init__(self, script: str, *, skips_to_token: bool = False, own_environment: bool = True) -> None:
        self.token = secrets.token_hex(12)
        run = f"/bin/sh -c {shlex.quote(script)}"
        skip = f'while IFS= read -r line && [ "$line" != {self.token} ]; do :; done'
        self._text = "\n".join(
            [
                *([skip] if skips_to_token else []),
                f"cd /; printf '\\n%s\\n' {self.token}; printf '\\n%s\\n' {self.token} >&2",
                clean(run) if own_environment else f"{UMASK}; {run}",
                f"printf '\\n%s %s\\n' {self.token} $?",
            ]
        )

    @property
    def words(self) -> list[str]:
        """The command. Its text has no character that csh or fish reads in another way than sh."""
        encoded = base64.b64encode(self._text.encode()).decode()
        return ["/bin/sh", "-c", f'eval "$(echo {encoded} | base64 -d)"']

    def read(self, out: str, err: str) -> Framed:
        """Find the script's own output in what came back."""
        before, started, rest = out.partition(f"\n{self.token}\n")
        _, said, own_err = err.partition(f"\n{self.token}\n")
        if not started:
            return Framed(None, out, err)
        noise = tuple(line.strip() for line in before.splitlines() if line.strip())
        own_err = own_err if said else err
        end = re.search(rf"\n{self.token} (\d+)\n", rest)
        if end is None:
            return Framed(None, rest, own_err, noise)
        return Framed(int(end[1]), rest[: end.start()], own_err, noise)
