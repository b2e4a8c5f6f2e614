"""Downloads over HTTP: several at a time, resumed and retried, and checked before use.

A file is written under a temporary name and renamed only when its sha256 is the pinned one. So a file that
exists is correct. Protocol: RFC 9110, range requests (section 14).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from platformctl.artifacts.hashing import hash_file
from platformctl.errors import PlatformError
from platformctl.surroundings import proxy_for

PARALLEL = 4
ATTEMPTS = 5
CHUNK = 1 << 20
# Seconds. A slow server is fine as long as it sends something within STALL.
CONNECT, STALL = 20.0, 30.0
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

# Called with a file's name and the number of bytes that arrived.
Received = Callable[[str, int], None]


@dataclass(frozen=True)
class File:
    """A file to download. sha256: None only while a lock is made. headers: e.g. a registry's token."""

    name: str
    url: str
    destination: Path
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """Limits of retries. delay: seconds before the second attempt, doubled for each further one."""

    attempts: int = ATTEMPTS
    delay: float = 1.0
    stall: float = STALL
    parallel: int = PARALLEL


class _RefusedError(Exception):
    """A permanent failure: no retry."""


class _BrokenError(Exception):
    """A temporary failure: retry."""


def download(
    files: Sequence[File],
    policy: Policy | None = None,
    received: Received = lambda *_: None,
) -> None:
    """Download all files; at the end, one error names every file that failed."""
    asyncio.run(_download_all(files, policy or Policy(), received))


async def _download_all(files: Sequence[File], policy: Policy, received: Received) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=policy.stall)
    limit = asyncio.Semaphore(policy.parallel)
    failures: list[str] = []
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=True) as session:

        async def one(file: File) -> None:
            async with limit:
                try:
                    await _with_retries(session, file, policy, received)
                except (_RefusedError, _BrokenError) as error:
                    failures.append(f"{file.name}: {error} ({file.url})")

        await asyncio.gather(*(one(file) for file in files))
    if failures:
        raise PlatformError(
            f"{len(failures)} of {len(files)} downloads failed; nothing was installed",
            details=sorted(failures),
            next="check the addresses and the site's lock, then fetch again: finished files are kept",
        )


async def _with_retries(
    session: aiohttp.ClientSession, file: File, policy: Policy, received: Received
) -> None:
    for attempt in range(1, policy.attempts + 1):
        try:
            await _attempt(session, file, received)
        except (_BrokenError, aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or "the server sent nothing for too long"
            if attempt == policy.attempts:
                raise _BrokenError(f"{reason}, {attempt} attempts") from error
            await asyncio.sleep(policy.delay * 2 ** (attempt - 1))
        else:
            return


async def _attempt(session: aiohttp.ClientSession, file: File, received: Received) -> None:
    partial = file.destination.with_name(file.destination.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    have = partial.stat().st_size if partial.exists() else 0
    headers = {**file.headers, **({"Range": f"bytes={have}-"} if have else {})}
    async with session.get(file.url, headers=headers, proxy=proxy_for(file.url)) as response:
        if response.status == 416:
            partial.unlink()
            raise _BrokenError("the server has fewer bytes than were received before")
        _check_status(response.status)
        resumed = response.status == 206
        with partial.open("ab" if resumed else "wb") as target:
            async for piece in response.content.iter_chunked(CHUNK):
                target.write(piece)
                received(file.name, len(piece))
    digest = hash_file(partial)
    if file.sha256 is not None and digest != file.sha256:
        partial.unlink()
        message = f"sha256 is {digest}, the lock says {file.sha256}"
        # The part received earlier may belong to another version of the file: start over before giving up.
        raise _BrokenError(message) if resumed else _RefusedError(message)
    partial.replace(file.destination)


def _check_status(status: int) -> None:
    if status in (200, 206):
        return
    if status in RETRIED_STATUS:
        raise _BrokenError(f"the server answered {status}")
    raise _RefusedError("not found on the server (404)" if status == 404 else f"the server answered {status}")
