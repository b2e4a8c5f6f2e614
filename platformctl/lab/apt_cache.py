"""One package cache on this machine for all labs: apt-cacher-ng, run by platformctl as an ordinary process.

Hosts use it as a plain HTTP proxy for the archives of their packages, and for nothing else: pods of a lab
come with the address of their host, so that whatever the cache fetches or tunnels, they could have. Packages
are kept in the cache folder, which stays when labs are removed. Labs come and go while it runs, so that their
firewall, and not the address that it listens on, lets only their hosts in, at their own gateways
(firewall.py).
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from platformctl import paths
from platformctl.errors import PlatformError
from platformctl.lab import archives

PORT = 3142
_START_SECONDS = 20.0
_CONFIG = """\
# Written by platformctl; replaced at each start.
CacheDir: {folder}/packages
LogDir: {folder}/log
# No socket in a folder that other instances share.
SocketPath:
Port: {port}
BindAddress: 0.0.0.0
ForeGround: 1
# Only the archives below; and without a PassThroughPattern no tunnels (CONNECT).
ForceManaged: 1
{archives}
# IPv4 first: a machine may have an IPv6 route that leads nowhere.
ConnectProto: v4 v6
ExThreshold: 30
# Hosts ask for the same new file at the same time; a slow source must not fail all of them.
NetworkTimeout: 120
VerboseLog: 0
"""


def folder() -> Path:
    """Packages, settings and log of the cache."""
    return paths.cache_dir() / "apt"


def ensure() -> bool:
    """Start the cache unless it runs, and wait until it answers; True if it was started."""
    if running() is not None:
        return False
    if _answers():
        raise PlatformError(
            f"port {PORT} is taken by another program, so that the lab's package cache cannot start",
            where=f"127.0.0.1:{PORT}",
            next="if it is Debian's own service: systemctl disable --now apt-cacher-ng",
        )
    (folder() / "packages").mkdir(parents=True, exist_ok=True)
    (folder() / "log").mkdir(exist_ok=True)
    settings = folder() / "etc"
    settings.mkdir(exist_ok=True)
    names = dict.fromkeys(urlsplit(source).netloc for source in archives.sources())
    allowed = "\n".join(f"Remap-{name}: http://{name}/ ; http://{name}/" for name in names)
    (settings / "acng.conf").write_text(_CONFIG.format(folder=folder(), port=PORT, archives=allowed))
    with (folder() / "log" / "start.log").open("w") as log:
        process = subprocess.Popen(
            [_program(), "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    _pid_file().write_text(str(process.pid))
    _await(process)
    return True


def stop() -> bool:
    """Stop the cache and keep its packages; False if it did not run."""
    pid = running()
    _pid_file().unlink(missing_ok=True)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while _is_ours(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _is_ours(pid):
        os.kill(pid, signal.SIGKILL)
    return True


def running() -> int | None:
    """The process id of platformctl's cache, if it runs."""
    try:
        pid = int(_pid_file().read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_ours(pid) else None


def _pid_file() -> Path:
    return folder() / "pid"


def _is_ours(pid: int) -> bool:
    """Whether the process is our cache (its command line names our settings): the id may have been reused.

    The folder may have another name there, where several caches of one user share it by a link.
    """
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    ours = (folder() / "etc").resolve()
    return any(Path(os.fsdecode(each)).resolve() == ours for each in arguments if each)


def _program() -> str:
    # Debian installs it into a folder that is only in root's PATH.
    program = shutil.which("apt-cacher-ng", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not program:
        raise PlatformError("apt-cacher-ng is not installed", next="apt-get install apt-cacher-ng")
    return program


def _answers() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=1):
            return True
    except OSError:
        return False


def _await(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _answers():
            return
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise PlatformError(
        "the package cache did not start",
        where=str(folder() / "log"),
        next=f"read the log there; an old cache may be removed safely: rm -r {folder()}",
    )
