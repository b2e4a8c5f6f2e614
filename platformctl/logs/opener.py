"""Opens files with the rights of a user: the only process that may change its user (SETUID, SETGID).

It receives requests on a socket and forks for each. The child permanently becomes the user before it resolves
the path, and sends the open file back over the socket. The process does nothing else and reads no file. A
request names a site user and a path. Ids come from the configuration, so root is never one.

Messages are JSON, one a packet: {"id": 1, "user": "alice", "path": "/home/alice/x.out"}, answered by
{"id": 1, "error": 0} with a file descriptor, or with the errno that the kernel gave.
"""

import errno
import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping, Sequence

from platformctl.logs.config import Person

MESSAGE_BYTES = 16384

type Become = Callable[[Person], None]


def become(person: Person) -> None:
    """Take the user's rights and drop all others, permanently."""
    os.setgroups(person.groups)
    os.setresgid(person.gid, person.gid, person.gid)
    os.setresuid(person.uid, person.uid, person.uid)


def serve(requests: socket.socket, root: str, people: Sequence[Person], become: Become = become) -> None:
    """Answer until the other end closes. root: the folder that all paths must be in."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    known = {person.name: person for person in people}
    while message := requests.recv(MESSAGE_BYTES):
        if os.fork() == 0:
            try:
                _answer(requests, json.loads(message), root, known, become)
            finally:
                os._exit(0)


def _answer(
    requests: socket.socket,
    request: Mapping[str, object],
    root: str,
    known: Mapping[str, Person],
    become: Become,
) -> None:
    try:
        become(known[str(request["user"])])
        descriptor = open_beneath(root, str(request["path"]))
    except KeyError:
        failed = errno.EPERM
    except OSError as error:
        failed = error.errno or errno.EIO
    else:
        socket.send_fds(requests, [json.dumps({"id": request["id"], "error": 0}).encode()], [descriptor])
        return
    requests.send(json.dumps({"id": request["id"], "error": failed}).encode())


def open_beneath(root: str, path: str) -> int:
    """Open a regular file below root for reading, without following symbolic links.

    Each folder is opened relative to the one before it, so nobody can replace one in between. Raises OSError:
    ELOOP or ENOTDIR for a link, EXDEV for a path that leaves root, EINVAL if it is not a regular file.
    """
    prefix = root.rstrip("/") + "/"
    parts = path.removeprefix(prefix).split("/")
    if not path.startswith(prefix) or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Without O_NONBLOCK a named pipe would block the process.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(parts[-1], flags, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return descriptor
