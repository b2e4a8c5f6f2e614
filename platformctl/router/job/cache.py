"""A cache of live Jobs as last seen, kept as JSON text: Python objects take five times as much memory.

A reconcile may use a cached Job instead of reading it. An old one does no harm: every write carries the
resourceVersion of the cached Job, and the API server refuses it if there is a newer version.
"""

import orjson

from platformctl.router.job.resource import JobResource
from platformctl.router.loop.queue import Key

# A Job of more bytes is large: a script may have 512 KiB, and a Job 1.5 MiB.
_LARGE = 64 * 2**10


class JobCache:
    """each, together: limits in bytes for one Job and for all Jobs; a Job that does not fit is not kept."""

    def __init__(self, each: int = 16 * 2**10, together: int = 64 * 2**20) -> None:
        self._each = each
        self._together = together
        self._bytes = 0
        self._large: set[Key] = set()
        self._texts: dict[Key, tuple[int, bytes]] = {}

    def put(self, key: Key, job: JobResource) -> None:
        """Keep a Job, unless it has ended or a newer version is already kept."""
        version = int(job.metadata.get("resourceVersion") or 0)
        known = self._texts.get(key)
        if known is not None and known[0] > version:
            return
        self.drop(key)
        metadata = {name: value for name, value in job.metadata.items() if name != "managedFields"}
        text = orjson.dumps({**job.raw, "metadata": metadata})
        (self._large.add if len(text) > _LARGE else self._large.discard)(key)
        if job.final:
            return
        if len(text) <= self._each and self._bytes + len(text) <= self._together:
            self._texts[key] = version, text
            self._bytes += len(text)

    def get(self, key: Key) -> JobResource | None:
        """The Job as last seen; None if it is not in the cache."""
        known = self._texts.get(key)
        return JobResource(orjson.loads(known[1])) if known else None

    def large(self, key: Key) -> bool:
        """Whether a reconcile of the Job takes megabytes, so that only a few may run at the same time."""
        return key in self._large

    def forget(self, key: Key) -> None:
        """The Job is gone."""
        self._large.discard(key)
        self.drop(key)

    def drop(self, key: Key) -> None:
        """Read the Job again for its next reconcile."""
        _, text = self._texts.pop(key, (0, b""))
        self._bytes -= len(text)
