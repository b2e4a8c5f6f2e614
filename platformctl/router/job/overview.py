"""A small record of every Job in memory: enough to check gates and to sweep.

The informer passes every listed or changed Job to it. It queues the Jobs that a change affects: the Job
itself if its user asked for something, Jobs that wait for it, and Jobs that wait for its room in a queue.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from platformctl.jobs.model import Dependency, JobSpec, Target, User, When
from platformctl.jobs.parse import parse
from platformctl.router.job.explain import asked
from platformctl.router.job.ledger import Ledger
from platformctl.router.job.occupancy import Holding, Occupancy, holding
from platformctl.router.job.resource import JobResource
from platformctl.router.loop.queue import Key
from platformctl.vocabulary import FINAL, Phase


@dataclass(frozen=True, slots=True)
class Brief:
    """One Job in short.

    foreign: whether another controller manages it. started: whether one of its attempts ran. depends_on: what
    it still waits for, empty once the gates let it through. holding, pods: what it uses of its queue, and of
    Kubernetes. used: CPU-seconds of its ended attempts. wishes: what its user can still change; if it
    differs, the Job is reconciled.
    """

    uid: str
    key: Key
    submitter: str
    foreign: bool
    phase: Phase | None
    attempt: int
    backend: Target | None
    backend_id: str
    copy: str
    started: bool
    depends_on: tuple[Dependency, ...]
    holding: Holding | None
    pods: Holding | None
    used: int
    wishes: tuple[Any, ...]

    @property
    def final(self) -> bool:
        """Whether the Job has ended."""
        return self.phase in FINAL


class Overview(Mapping[str, Brief]):
    """All Jobs by uid. wake: queues the Job of a key. array_at_once: of Kubernetes, see `holding`.

    occupancy: of the queues. on_kubernetes: of Kubernetes as a whole. ledger: what users have used lately.
    """

    def __init__(
        self, users: Mapping[str, User], wake: Callable[[Key], None], array_at_once: int | None = None
    ) -> None:
        self.ledger = Ledger()
        self.occupancy = Occupancy(wake, self.ledger.usage)
        self.on_kubernetes = Occupancy(wake, self.ledger.usage, "on Kubernetes")
        self.array_at_once = array_at_once
        self._users = users
        self._wake = wake
        self._by_uid: dict[str, Brief] = {}
        self._by_key: dict[Key, Brief] = {}
        self._dependents: dict[Key, dict[Key, None]] = {}

    def put(self, job: JobResource) -> None:
        """A Job was listed, added or modified."""
        before = self._by_key.get((job.namespace, job.name))
        if before is not None and before.uid != job.uid:
            self._forget(before)
            before = None
        after = self._brief(job, before)
        self._by_uid[after.uid] = self._by_key[after.key] = after
        self._index(before, after)
        # First: who is woken below depends on what was used.
        self._account(job, before, after)
        self.occupancy.update(
            after.uid, after.key, before.holding if before else None, after.holding, after.final
        )
        self.on_kubernetes.update(
            after.uid, after.key, before.pods if before else None, after.pods, after.final
        )
        if _is_news(job, before, after):
            self._wake(after.key)
        if before is None or (before.final, before.started) != (after.final, after.started):
            self._wake_dependents(after.key)

    def drop(self, job: JobResource) -> None:
        """A Job is gone."""
        known = self._by_uid.get(job.uid)
        if known is not None:
            self._forget(known)

    def get_job(self, key: Key) -> Brief | None:
        """The Job of a namespace and name."""
        return self._by_key.get(key)

    def submitter(self, key: Key) -> str:
        """Who created the Job of a key; empty for one that is not known."""
        known = self._by_key.get(key)
        return known.submitter if known else ""

    def queued(self, backend: Target | None) -> Counter[str]:
        """How many Jobs of each user wait in a back end. It looks at all Jobs, so it is for one question."""
        waiting = (brief for brief in self._by_uid.values() if brief.phase is Phase.QUEUED)
        return Counter(brief.submitter for brief in waiting if brief.backend is backend)

    def awaited(self, job: JobResource) -> bool:
        """Whether a Job of the same submitter still waits for this one."""
        waiting = self._dependents.get((job.namespace, job.name), ())
        return any(self._by_key[key].submitter == job.submitter for key in waiting)

    def __getitem__(self, uid: str) -> Brief:
        return self._by_uid[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_uid)

    def __len__(self) -> int:
        return len(self._by_uid)

    def _forget(self, known: Brief) -> None:
        del self._by_uid[known.uid]
        del self._by_key[known.key]
        self._unindex(known)
        self.occupancy.forget(known.uid, known.key)
        self.on_kubernetes.forget(known.uid, known.key)
        self.ledger.stop(known.uid)
        self._wake_dependents(known.key)

    def _index(self, before: Brief | None, after: Brief) -> None:
        if before is not None and before.depends_on == after.depends_on:
            return
        if before is not None:
            self._unindex(before)
        for dependency in after.depends_on:
            self._dependents.setdefault((after.key[0], dependency.name), {})[after.key] = None

    def _unindex(self, known: Brief) -> None:
        for dependency in known.depends_on:
            key = (known.key[0], dependency.name)
            waiting = self._dependents.get(key, {})
            waiting.pop(known.key, None)
            if not waiting:
                self._dependents.pop(key, None)

    def _wake_dependents(self, key: Key) -> None:
        for dependent in list(self._dependents.get(key, ())):
            self._wake(dependent)

    def _brief(self, job: JobResource, before: Brief | None) -> Brief:
        started = bool(job.status.get("startTime")) or any(item.get("startTime") for item in job.attempts)
        return Brief(
            uid=job.uid,
            key=(job.namespace, job.name),
            # One string object for each name: there may be 20,000 Jobs.
            submitter=sys.intern(job.submitter),
            foreign=job.foreign,
            phase=job.phase,
            attempt=job.attempt,
            backend=job.backend,
            backend_id=job.backend_id,
            copy=job.copy,
            started=started,
            depends_on=() if job.final or job.let_through else _dependencies(job),
            holding=self._holding(job, before),
            pods=self._pods(job, before),
            used=int((job.status.get("usage") or {}).get("cpuSeconds") or 0),
            wishes=(*job.wishes, asked(job)),
        )

    def _holding(self, job: JobResource, before: Brief | None) -> Holding | None:
        """What a live job uses of its queue; computed once, because the spec has to be parsed for it."""
        queue = job.status.get("queue")
        if not queue or job.backend is None or job.final:
            return None
        known = before.holding if before is not None and before.backend is job.backend else None
        if known is not None and known.queue == queue:
            return known
        return self._held(job, str(queue))

    def _pods(self, job: JobResource, before: Brief | None) -> Holding | None:
        """What a live job uses of Kubernetes; computed once."""
        if job.backend is not Target.KUBERNETES or job.final:
            return None
        known = before.pods if before is not None else None
        return known or self._held(job, "")

    def _held(self, job: JobResource, queue: str) -> Holding | None:
        spec, user = parse(job.raw.get("spec")), self._users.get(str(job.status.get("user", "")))
        if not isinstance(spec, JobSpec) or user is None:
            return None
        return holding(queue, user, replace(spec, target=job.backend or spec.target), self.array_at_once)

    def _account(self, job: JobResource, before: Brief | None, after: Brief) -> None:
        """Keep the ledger: what attempts used that have ended, and what runs now."""
        used = after.used - (before.used if before else 0)
        if used > 0:
            self.ledger.charge(after.submitter, used, _epoch(job.status.get("completionTime")))
        held = after.pods or after.holding
        since = _epoch(job.status.get("startTime")) if after.phase is Phase.RUNNING else None
        if held is not None and since is not None:
            self.ledger.run(after.uid, after.submitter, held.millicores, since)
        else:
            self.ledger.stop(after.uid)


def _is_news(job: JobResource, before: Brief | None, after: Brief) -> bool:
    """Whether the Job has to be reconciled: it is new, or its user asked for something.

    The router's own writes do not count.
    """
    if (job.deleting and not job.guarded) or (job.foreign and not job.deleting):
        return False
    if before is not None:
        return before.wishes != after.wishes
    return not after.final or job.deleting or job.retry_requested or job.expires or bool(asked(job))


def _epoch(time: Any) -> float | None:
    """Seconds since the epoch of a time in the status; None if there is none."""
    try:
        return datetime.fromisoformat(str(time)).timestamp() if time else None
    except ValueError:
        return None


def _dependencies(job: JobResource) -> tuple[Dependency, ...]:
    """The dependencies in a spec; wrong entries are ignored here, because the spec is checked elsewhere."""
    entries = (job.raw.get("spec") or {}).get("dependsOn")
    return tuple(
        Dependency(str(item["name"]), _WHEN.get(str(item.get("when")), When.SUCCEEDED))
        for item in (entries if isinstance(entries, list) else ())
        if isinstance(item, dict) and item.get("name")
    )


_WHEN = {str(when): when for when in When}
