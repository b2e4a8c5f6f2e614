"""How much of each queue its users and accounts use, and which Jobs wait for room, oldest first.

It counts the live Jobs, and those that were let in but whose status is not written yet. So two Jobs that are
reconciled at the same moment do not both get the last place. After a restart it counts again from nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from platformctl.jobs.model import JobSpec, Limits, Queue, User
from platformctl.jobs.slurm_block import total_gpus
from platformctl.jobs.targets import may_give_whole_cores
from platformctl.router.loop.queue import Key

# What Slurm and the Kubernetes quota tools count for a task that asks for nothing.
_DEFAULT_MILLICORES = 1000

type Account = tuple[str, str, str]
"""A queue, "user" or "account", and the name of that user or account."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one live Job uses of a queue: millicores and whole GPUs of everything that runs at once."""

    queue: str
    user: str
    account: str | None
    millicores: int
    gpus: int

    def accounts(self) -> list[Account]:
        """The users and accounts of the queue that it counts for."""
        accounts: list[Account] = [(self.queue, "user", self.user)]
        if self.account:
            accounts.append((self.queue, "account", self.account))
        return accounts


@dataclass(slots=True)
class _Sum:
    jobs: int = 0
    millicores: int = 0
    gpus: int = 0

    def add(self, held: Holding, sign: int) -> None:
        self.jobs += sign
        self.millicores += sign * held.millicores
        self.gpus += sign * held.gpus


def holding(queue: str, user: User, job: JobSpec) -> Holding:
    """What a job would use; for an array, the elements that may run at the same time.

    It counts for the user's account of the inventory, not the account that the job names, so that nobody can
    use up the limits of others. If the job may go to a back end that gives each task whole cores, whole cores
    are counted.
    """
    elements = len(job.array.indices) if job.array else 1
    at_once = min(job.array.limit or elements, elements) if job.array else 1
    parts = (job, *job.components)
    gpus = sum(total_gpus(part) for part in parts)
    millicores = sum(_millicores(part) * part.tasks for part in parts)
    return Holding(queue, user.name, user.account, millicores * at_once, gpus * at_once)


def _millicores(job: JobSpec) -> int:
    """Of one task."""
    millicores = job.resources.millicores or _DEFAULT_MILLICORES
    return -(-millicores // 1000) * 1000 if may_give_whole_cores(job) else millicores


def excess(wanted: Holding, queue: Queue) -> str:
    """Why a job does not fit into its queue even if no other job is there; empty if it does."""
    for _, kind, _ in wanted.accounts():
        why = _beyond(_Sum(), wanted, queue.per_user if kind == "user" else queue.per_account)
        if why:
            return f"{why} that the queue {queue.name} allows each {kind}"
    return ""


class Occupancy:
    """What users and accounts hold, and which Jobs wait. wake: queues the Job of a key."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._held: dict[str, Holding] = {}
        self._sums: dict[Account, _Sum] = {}
        self._waiting: dict[Account, dict[Key, None]] = {}
        self._waits_for: dict[Key, list[Account]] = {}

    def enter(self, uid: str, key: Key, wanted: Holding, queue: Queue) -> str:
        """Let a Job in, or return why not and put it in line behind the Jobs that came before.

        A Job that was let in before stays in.
        """
        if self._held.get(uid) == wanted:
            return ""
        full = {}
        for account in wanted.accounts():
            why = self._full(account, key, wanted, queue)
            if why:
                full[account] = why
        if full:
            self._join(key, list(full))
            return next(iter(full.values()))
        self._hold(uid, wanted)
        self._leave(key)
        return ""

    def update(self, uid: str, key: Key, before: Holding | None, after: Holding | None, final: bool) -> None:
        """Count what a Job holds after its status changed. A Job that was just let in keeps its place."""
        if after is not None:
            self._hold(uid, after)
        elif final or before is not None:
            self._release(uid)
        if final or after is not None:
            self._leave(key)

    def forget(self, uid: str, key: Key) -> None:
        """The Job is gone."""
        self._release(uid)
        self._leave(key)

    def stay_out(self, key: Key) -> None:
        """Take the Job out of the lines: it waits for something else, or for nothing."""
        self._leave(key)

    def wake_first(self) -> None:
        """Queue the first Job of each line, because limits may have changed."""
        for line in list(self._waiting.values()):
            self._wake(next(iter(line)))

    def _full(self, account: Account, key: Key, wanted: Holding, queue: Queue) -> str:
        kind, whose = account[1], account[2]
        limits = queue.per_user if kind == "user" else queue.per_account
        why = _beyond(self._sums.get(account, _Sum()), wanted, limits)
        if why:
            return (
                f"waits until the {kind} {whose} holds less than the {why} allowed in the queue {queue.name}"
            )
        line = self._waiting.get(account)
        if line and next(iter(line)) != key:
            return f"waits behind other jobs of the {kind} {whose} in the queue {queue.name}"
        return ""

    def _hold(self, uid: str, held: Holding) -> None:
        if self._held.get(uid) == held:
            return
        self._release(uid)
        self._held[uid] = held
        for account in held.accounts():
            self._sums.setdefault(account, _Sum()).add(held, 1)

    def _release(self, uid: str) -> None:
        held = self._held.pop(uid, None)
        for account in held.accounts() if held else ():
            total = self._sums[account]
            total.add(held, -1)  # type: ignore[arg-type]  # accounts() is of held
            if not total.jobs:
                del self._sums[account]
            self._wake_first_of(account)

    def _join(self, key: Key, accounts: list[Account]) -> None:
        """Put the Job into these lines; it keeps its place where it already waits."""
        for account in set(self._waits_for.get(key, ())) - set(accounts):
            self._leave_line(key, account)
        for account in accounts:
            self._waiting.setdefault(account, {}).setdefault(key)
        self._waits_for[key] = accounts

    def _leave(self, key: Key) -> None:
        for account in self._waits_for.pop(key, ()):
            self._leave_line(key, account)

    def _leave_line(self, key: Key, account: Account) -> None:
        line = self._waiting[account]
        was_first = next(iter(line)) == key
        del line[key]
        if not line:
            del self._waiting[account]
        elif was_first:
            self._wake_first_of(account)

    def _wake_first_of(self, account: Account) -> None:
        line = self._waiting.get(account)
        if line:
            self._wake(next(iter(line)))


def _beyond(total: _Sum, wanted: Holding, limits: Limits) -> str:
    """The first limit that would be exceeded, in words."""
    if limits.jobs is not None and total.jobs + 1 > limits.jobs:
        return f"{limits.jobs} jobs"
    if limits.millicores is not None and total.millicores + wanted.millicores > limits.millicores:
        return f"{limits.millicores / 1000:g} CPUs"
    if limits.gpus is not None and total.gpus + wanted.gpus > limits.gpus:
        return f"{limits.gpus} GPUs"
    return ""
