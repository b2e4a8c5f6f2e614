"""The output of one attempt: a file of the user, or the log of a pod.

Offsets count bytes from the beginning of the output; on Kubernetes, of the part that the node still has.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from platformctl.clients.kubernetes import ApiError, KubernetesClient, NotFoundError, UnavailableError
from platformctl.jobs import slurm_files, view
from platformctl.logs.files import Files, OpenError, read_at
from platformctl.logs.reading import Reader

_LOOK_SECONDS = 0.5
_JOB_SECONDS = 2.0
_WAITS = 400  # pods/log of a container that has not started


class NoOutputError(Exception):
    """There is no output and never will be; the text says why, for people."""


class ForbiddenError(Exception):
    """This caller may not read it; the text says why, for people."""


class Watched:
    """A Job, read again as often as needed to notice that an attempt has ended."""

    def __init__(self, reader: Reader, path: str, job: Mapping[str, Any]) -> None:
        self._reader = reader
        self._path = path
        self._read_at = time.monotonic()
        self.job = job

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it was last read."""
        status: Mapping[str, Any] = self.job.get("status") or {}
        return status

    @property
    def attempt(self) -> int:
        """Number of the last attempt."""
        return int(self.status.get("attempt") or 1)

    async def ended(self, attempt: int) -> bool:
        """Whether the attempt has ended; also True if the Job is gone or replaced."""
        if self.over(attempt):
            return True
        if time.monotonic() - self._read_at < _JOB_SECONDS:
            return False
        uid, known = self.job["metadata"]["uid"], self.job["metadata"].get("resourceVersion")
        try:
            now = await self._reader.version(self._path)
            fresh = self.job if now == (uid, known) else await self._reader.job(self._path)
        except NotFoundError:
            return True
        self._read_at = time.monotonic()
        if fresh["metadata"]["uid"] != uid:
            return True
        self.job = fresh
        return self.over(attempt)

    def placed(self, attempt: int) -> Mapping[str, Any]:
        """backend, backendId and output of an attempt, as far as they are known."""
        if attempt == self.attempt:
            return self.status
        records: list[Mapping[str, Any]] = list(self.status.get("attempts") or [])
        placement = next((record for record in records if record.get("attempt") == attempt), None)
        if placement is None:
            raise NoOutputError(f"the Job has no attempt {attempt}; its last is {self.attempt}")
        return placement

    def first_index(self) -> int:
        """The first index of the array; 0 if the Job is not an array."""
        match = re.match(r"[0-9]+", str((self.job.get("spec") or {}).get("array", "")))
        return int(match.group()) if match else 0

    def over(self, attempt: int) -> bool:
        """Whether the attempt had ended when the Job was last read."""
        return attempt < self.attempt or not view.live(self.job)


class Source(Protocol):
    """The output of one attempt."""

    def pieces(self, offset: int, follow: bool) -> AsyncGenerator[bytes]:
        """The output from an offset on; with follow, until the attempt has ended. Close it when done.

        Raises NoOutputError, ForbiddenError, ApiError.
        """
        ...

    async def size(self) -> int:
        """The number of bytes now."""
        ...


class FileSource:
    """A file on the shared home, read with the rights of its user."""

    def __init__(self, files: Files, watched: Watched, user: str, attempt: int, index: int | None) -> None:
        self._files = files
        self._watched = watched
        self._user = user
        self._attempt = attempt
        self._index = index

    async def size(self) -> int:
        """The size of the file; 0 if it does not exist yet."""
        descriptor = await self._open()
        if descriptor is None:
            return 0
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    async def pieces(self, offset: int, follow: bool) -> AsyncGenerator[bytes]:
        """The file's content; with follow, checked again every half second."""
        descriptor: int | None = None
        try:
            while True:
                ended = await self._watched.ended(self._attempt)
                descriptor = descriptor if descriptor is not None else await self._open()
                while descriptor is not None and (piece := await read_at(descriptor, offset)):
                    offset += len(piece)
                    yield piece
                if ended and descriptor is None:
                    raise NoOutputError(
                        f"there is no file {self._path()}: it was moved, removed or never created"
                    )
                if ended or not follow:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _path(self) -> str:
        """The file's path, once the router knows it. Patterns in it are for what was not known then."""
        place = self._watched.placed(self._attempt)
        path = str(place.get("output") or "")
        array = (self._watched.job.get("spec") or {}).get("array") is not None
        if array:
            path = slurm_files.with_ids(path, str(place.get("backendId", "")))
        if "%N" in path:
            path = slurm_files.on_node(path, _first_node(str(place.get("nodes") or "")), array)
        if not array:
            return path
        if slurm_files.unknown(path):
            raise NoOutputError(
                f"the name of the file has Slurm's id of the element: {path}; with %A_%a in --output it can "
                "be shown"
            )
        index = self._watched.first_index() if self._index is None else self._index
        return slurm_files.of_element(path, index)

    async def _open(self) -> int | None:
        path = self._path()
        if not path:
            return None
        try:
            return await self._files.open(self._user, path)
        except OpenError as error:
            if error.missing:
                return None
            raise ForbiddenError(
                f"{error}; it is opened as {self._user}, and only as a file below the shared home without "
                "a symbolic link in its path"
            ) from None
        except TimeoutError:
            raise UnavailableError(0, "Timeout", f"the shared home does not answer for {path}") from None


class PodSource:
    """The log of a pod of the attempt's batch Job."""

    def __init__(
        self, client: KubernetesClient, reader: Reader, watched: Watched, attempt: int, index: int | None
    ) -> None:
        self._client = client
        self._reader = reader
        self._watched = watched
        self._attempt = attempt
        self._index = index

    async def size(self) -> int:
        """The size, found by reading the whole log: the API of pods does not give sizes."""
        async with aclosing(self.pieces(0, follow=False)) as pieces:
            return sum([len(piece) async for piece in pieces])

    async def pieces(self, offset: int, follow: bool) -> AsyncGenerator[bytes]:
        """The newest pod's log; if the stream breaks, it continues from the same place."""
        while True:
            ended = await self._watched.ended(self._attempt)
            pod = await self._pod()
            if pod is None and ended:
                raise NoOutputError("its pods are gone, and with them the output")
            if pod is not None:
                try:
                    async with aclosing(self._log(pod, offset, follow)) as pieces:
                        async for piece in pieces:
                            offset += len(piece)
                            yield piece
                except UnavailableError:
                    if not follow:
                        raise
                if pod["phase"] in ("Succeeded", "Failed"):
                    return
            if ended or not follow:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _pod(self) -> Mapping[str, Any] | None:
        place = self._watched.placed(self._attempt)
        namespace, _, batch = str(place.get("backendId") or "").partition("/")
        if not batch:
            return None
        selector = f"batch.kubernetes.io/job-name={batch}"
        if self._index is not None:
            selector += f",batch.kubernetes.io/job-completion-index={self._index}"
        found = await self._reader.pods(namespace, selector)
        pods = sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return min(reversed(pods), key=_index, default=None)

    async def _log(self, pod: Mapping[str, Any], offset: int, follow: bool) -> AsyncGenerator[bytes]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
        query = {"container": pod["container"]} | ({"follow": "true"} if follow else {})
        try:
            async with aclosing(self._client.stream(path, **query)) as pieces:
                async for piece in pieces:
                    unread = piece[offset:]
                    offset = max(0, offset - len(piece))
                    if unread:
                        yield unread
        except NotFoundError:
            return
        except ApiError as error:
            if error.code != _WAITS:
                raise


def _first_node(nodes: str) -> str:
    """The first of a list of nodes: `node[03-05],gpu1` begins with node03."""
    match = re.match(r"([^\[,]*)(?:\[(\d+))?", nodes)
    return f"{match[1]}{match[2] or ''}" if match else ""


def _index(pod: Mapping[str, Any]) -> int:
    return int((pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-completion-index", 0))
