"""The opener's client for the event loop; requests have numbers, so that many can run at the same time."""

import asyncio
import errno
import itertools
import json
import os
import socket
from typing import Any

from platformctl.logs.opener import MESSAGE_BYTES

_CHUNK = 65536
_OPEN_SECONDS = 20.0


class OpenError(Exception):
    """The file could not be opened: the kernel's errno, and the path."""

    def __init__(self, code: int, path: str) -> None:
        super().__init__(f"{path}: {os.strerror(code)}")
        self.code = code

    @property
    def missing(self) -> bool:
        """Whether there is no such file (yet)."""
        return self.code == errno.ENOENT


class Files:
    """The client of the opener. closed: done when the opener has ended; then the server must stop."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        requests.setblocking(False)
        asyncio.get_running_loop().add_reader(requests, self._receive)

    async def open(self, user: str, path: str) -> int:
        """A descriptor of a user's file, opened with the user's rights; OpenError, TimeoutError."""
        number = next(self._numbers)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        request = json.dumps({"id": number, "user": user, "path": path}).encode()
        if len(request) > MESSAGE_BYTES:
            raise OpenError(errno.ENAMETOOLONG, path[:100])
        self._waiting[number] = future
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._requests, request)
                return await future
        except OSError as error:
            raise OpenError(error.errno or errno.EIO, path) from None
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Close the connection, which ends the opener."""
        asyncio.get_running_loop().remove_reader(self._requests)
        self._requests.close()

    def _receive(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._requests, MESSAGE_BYTES, 1)
        if not message:
            asyncio.get_running_loop().remove_reader(self._requests)
            if not self.closed.done():
                self.closed.set_result(None)
            return
        answer: dict[str, Any] = json.loads(message)
        future = self._waiting.get(answer["id"])
        if future is None or future.done():
            for descriptor in descriptors:
                os.close(descriptor)
        elif descriptors:
            future.set_result(descriptors[0])
        else:
            future.set_exception(OSError(answer["error"], os.strerror(answer["error"])))


async def read_at(descriptor: int, offset: int) -> bytes:
    """A piece of a file, empty at its end. It runs in a thread, so a slow file server blocks nobody else."""
    return await asyncio.to_thread(os.pread, descriptor, _CHUNK, offset)
