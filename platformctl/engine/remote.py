"""Short commands as root on many hosts at once, over the connections that Ansible uses as well.

One ssh connection a host is kept open for five minutes (ControlPersist) and shared with Ansible through the
same control path, so that reading a few bytes from a host costs milliseconds.
"""

import asyncio
import contextlib
import getpass
import os
import shlex
import stat
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from platformctl.engine import ssh_errors
from platformctl.engine.fleet import Connection, Host
from platformctl.errors import ExitCode, PlatformError

# No compression: hosts are on a fast network, and zlib made the transfer of images ten times slower.
SSH_ARGUMENTS = (
    "-o ControlMaster=auto -o ControlPersist=300s -o ServerAliveInterval=5 -o ServerAliveCountMax=4"
)
# The path of a socket has 107 characters: of these, a role's prefix `/plain-`, ssh's digest of the
# connection, and what ssh appends while it makes the socket.
_LONGEST_FOLDER = 107 - len("/plain-") - 40 - 17
_TEMPORARY = Path("/tmp")  # noqa: S108 - what lies there is checked
_AT_ONCE = 50
_CONNECT_SECONDS = 10
_UNREACHABLE = 255


def control_folder() -> Path:
    """The folder for ssh's sockets of shared connections: Ansible's, if its path is short enough.

    PlatformError: a folder in the shared place for temporary files is another user's.
    """
    usual = Path.home() / ".ansible" / "cp"
    if len(str(usual)) <= _LONGEST_FOLDER:
        return usual
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(runtime) + len("/platformctl") <= _LONGEST_FOLDER:
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


def control_path() -> str:
    """The sockets of shared connections, for ssh."""
    return str(control_folder() / "%C")


@dataclass(frozen=True)
class Reply:
    """code: exit status of the command; 255 if the host was not reached."""

    code: int
    out: str
    err: str

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
    def refusal(self) -> str:
        """Why the command failed, as words that follow the host's name: `does not answer: no route`."""
        if self.unreachable:
            what = ssh_errors.cause(self.err).words
        else:
            what = "does not let its user become root" if self.denied else "does not say what it has"
        return f"{what}: {self.message}"


async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
    """Run a shell script as root on a host, `data` on its standard input, within `seconds`."""
    root = connection.user == "root" or (connection.local and os.geteuid() == 0)
    ask = ["-S", "-p", ""] if connection.become_password else ["-n"]
    command = ["sh", "-c", script] if root else ["sudo", *ask, "sh", "-c", script]
    if connection.become_password and not root:
        data = f"{connection.become_password}\n{data}"
    if not connection.local:
        Path(control_path()).parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        command = [*_ssh(connection), shlex.join(command)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(data.encode())
    except TimeoutError:
        return Reply(_UNREACHABLE, "", f"no answer within {seconds:.0f} s")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Reply(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


async def knock(connection: Connection, seconds: float) -> bool:
    """Whether the host's ssh server answers within `seconds`, without a login.

    False also where only ssh knows the way, such as through a jump host.
    """
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(connection.address, connection.port)
            try:
                return (await reader.readline()).startswith(b"SSH-")
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


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
        "BatchMode=yes",
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
