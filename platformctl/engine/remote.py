"""Short commands as root on many hosts at once, over the connections that Ansible uses as well.

One ssh connection a host is kept open for five minutes (ControlPersist) and shared with Ansible through the
same control path, so that reading a few bytes from a host costs milliseconds. Commands run in a shell of our
own, and their answers are framed, so that login shells and their files change neither (host_shell.py).
"""

import asyncio
import contextlib
import getpass
import json
import os
import shlex
import stat
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformctl import paths, surroundings
from platformctl.engine import ssh_errors
from platformctl.engine.fleet import Connection, Host
from platformctl.errors import ExitCode, PlatformError
from platformctl.host_shell import Frame

# No compression: hosts are on a fast network, and zlib made the transfer of images ten times slower.
# The rest: nothing asks on a terminal. What a user's ssh configuration sets for sessions by hand (a terminal,
# a command, forwarded ports) does not apply; how a host is reached stays that configuration's matter.
SSH_ARGUMENTS = (
    "-o ControlMaster=auto -o ControlPersist=300s -o ServerAliveInterval=5 -o ServerAliveCountMax=4"
    " -o BatchMode=yes -o RequestTTY=no -o RemoteCommand=none -o PermitLocalCommand=no"
    " -o ClearAllForwardings=yes -o ForwardX11=no -o LogLevel=INFO"
)
# The path of a socket has 107 characters: of these, a role's prefix `/plain-`, ssh's digest of the
# connection, and what ssh appends while it makes the socket.
_LONGEST_FOLDER = 107 - len("/plain-") - 40 - 17
_TEMPORARY = Path("/tmp")  # noqa: S108 - what lies there is checked
_AT_ONCE = 50
_CONNECT_SECONDS = 10
_UNREACHABLE = 255
# For an answer that is not framed although ssh reports success; and for a script that itself ended with 255.
_UNREADABLE = 254


def control_folder() -> Path:
    """The folder for ssh's sockets of shared connections: Ansible's, if its path is short enough.

    PlatformError: a folder in the shared place for temporary files is another user's.
    """
    usual = paths.home() / ".ansible" / "cp"
    if len(str(usual)) <= _LONGEST_FOLDER and _made(usual):
        return usual
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    short = len(runtime) + len("/platformctl") <= _LONGEST_FOLDER
    if runtime and short and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime, "platformctl")
    folder = _TEMPORARY / f"platformctl-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) != 0o700 or not folder.is_dir():
        raise PlatformError(
            "the folder for connections is not this user's alone",
            where=str(folder),
            next=f"remove it, or set XDG_RUNTIME_DIR to a path of at most {_LONGEST_FOLDER - 12} characters",
            code=ExitCode.REFUSED,
        )
    return folder


def _made(folder: Path) -> bool:
    """Whether a folder can be written; it is made first, if that is possible."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    return os.access(folder, os.W_OK | os.X_OK)


def control_path() -> str:
    """The sockets of shared connections, for ssh."""
    return str(control_folder() / "%C")


@dataclass(frozen=True)
class Reply:
    """code: exit status of the command; 255 if the host was not reached.

    readable: whether the command ran to its end; if not, out and err are all that came back. noise: lines
    that something else printed before it, such as the login shell's files.
    """

    code: int
    out: str
    err: str
    readable: bool = True
    noise: tuple[str, ...] = ()

    @property
    def unreachable(self) -> bool:
        """Whether ssh could not reach the host at all."""
        return self.code == _UNREACHABLE

    @property
    def denied(self) -> bool:
        """Whether the user may not become root there."""
        return self.code != 0 and "sudo:" in self.err

    @property
    def message(self) -> str:
        """The last lines of its output, in one line."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return " / ".join(line.strip() for line in lines[-3:]) or f"exit status {self.code}"

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object that it printed; None if the command failed or printed something else."""
        try:
            found = json.loads(self.out) if self.code == 0 else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def refusal(self) -> str:
        """Why the command failed, as words that follow the host's name: `does not answer: no route`."""
        if self.unreachable:
            what = ssh_errors.cause(self.err).words
        elif self.denied:
            what = "does not let its user become root"
        elif not self.readable:
            what = "does not run the commands of its user"
        else:
            what = "does not say what it has"
        return f"{what}: {self.message}"


async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
    """Run a script of a POSIX shell as root on a host, `data` on its standard input, within `seconds`."""
    root = connection.user == "root" or (connection.local and os.geteuid() == 0)
    password = connection.become_password if not root else ""
    frame = Frame(script, skips_to_token=bool(password), own_environment=not connection.local)
    command = frame.words
    if not root:
        command = ["sudo", *(["-S", "-p", ""] if password else ["-n"]), *command]
    if password:
        data = f"{password}\n{frame.token}\n{data}"
    if not connection.local:
        Path(control_path()).parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        command = [*_ssh(connection), shlex.join(command)]
    code, out, err = await _communicate(command, data, seconds)
    framed = frame.read(out, err)
    if framed.code is not None:
        code = framed.code if framed.code != _UNREACHABLE else _UNREADABLE
        return Reply(code, framed.out, framed.err, noise=framed.before)
    return Reply(code or _UNREADABLE, framed.out, framed.err, readable=False, noise=framed.before)


async def _communicate(command: list[str], data: str, seconds: float) -> tuple[int, str, str]:
    """Run a program without a terminal; returns its exit status and output, or 255 with the reason."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=surroundings.children(),
            # In a session of its own there is no terminal that it could ask on.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise PlatformError(
            f"{command[0]} is not installed on this machine",
            where=f"PATH={os.environ.get('PATH', '')}",
            next=f"install {command[0]}",
        ) from error
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(data.encode())
    except TimeoutError:
        return _UNREACHABLE, "", f"no answer within {seconds:.0f} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


async def together[Result](work: Iterable[Coroutine[None, None, Result]]) -> list[Result]:
    """Await work on many hosts, at most 50 at once: each is an ssh process with three open files here.

    Returns the results in the order of `work`.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(part: Coroutine[None, None, Result]) -> Result:
        async with slots:
            return await part

    return await asyncio.gather(*(one(part) for part in work))


async def run_all(hosts: Iterable[Host], scripts: Mapping[str, str], data: str = "") -> dict[str, Reply]:
    """Run each host's script (by host name) on all hosts at once, at most 50 together."""

    async def one(host: Host) -> tuple[str, Reply]:
        return host.name, await run(host.connection, scripts[host.name], data)

    return dict(await together(one(host) for host in hosts))


def _ssh(connection: Connection) -> list[str]:
    command = [
        "ssh",
        *shlex.split(SSH_ARGUMENTS),
        "-o",
        f"ConnectTimeout={_CONNECT_SECONDS}",
    ]
    command += connection.arguments
    if not any("ControlPath" in argument for argument in connection.arguments):
        command += ["-o", f"ControlPath={control_path()}"]
    if connection.key:
        command += ["-i", str(Path(connection.key).expanduser())]
    user = connection.user or getpass.getuser()
    return [*command, "-p", str(connection.port), "-l", user, connection.address]
