"""Runs a command and ends it, with everything it started, when the parent process dies.

A program of its own: `python -I -S guard.py PIDFILE COMMAND...`; a SIGTERM to the written pid ends it all.
Ansible moves its workers to sessions of their own, so a process group is not enough: this process adopts its
orphaned descendants (PR_SET_CHILD_SUBREAPER) and asks the kernel for a signal when its parent ends
(PR_SET_PDEATHSIG), even by kill -9. Uses the standard library alone, so that it starts in milliseconds.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command line; returns its exit status."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGTERM, _end)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 143
    with open(sys.argv[1], "w") as file:  # noqa: PTH123 - one import less
        file.write(str(os.getpid()))
    # A session of its own has no terminal: whatever asks for a password fails at once instead of waiting.
    code = subprocess.run(
        sys.argv[2:], check=False, stdin=subprocess.DEVNULL, start_new_session=True
    ).returncode
    return code if code >= 0 else 128 - code


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Kill all descendants; again until none is left, since they may start others meanwhile."""
    for _ in range(50):
        pids = _descendants(os.getpid())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not pids:
            break
        time.sleep(0.05)
    os._exit(143)


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - one import less
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(name))
    descendants: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        descendants += below
        waiting += below
    return descendants


if __name__ == "__main__":
    sys.exit(main())
