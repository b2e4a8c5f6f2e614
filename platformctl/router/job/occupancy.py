"""How much of each queue its users and accounts use, and which Jobs wait for room.

In a line, the user who has used least goes first, with the oldest of that user's Jobs. It counts the live
Jobs, and those that were let in but whose status is not written yet. So two Jobs that are reconciled at the
same moment do not both get the last place. After a restart it counts again from nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from platformctl.jobs.array import elements_at_once
from platformctl.jobs.model import JobSpec, Limits, Queue, Target, User
from platformctl.jobs.slurm_block import total_gpus
from platformctl.jobs.targets import may_give_whole_cores
from platformctl.router.loop.queue import Key

# What Slurm and the Kubernetes quota tools count for a task that asks for nothing.
_DEFAULT_MILLICORES = 1000

type Account = tuple[str, str, str]
"""A queue, "user" or "account", and the name of that user or account."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one live Job uses of a queue: millicores, whole GPUs and pods of everything that runs at once."""

    queue: str
    user: str
    account: str | None
    millicores: int
    gpus: int
    pods: int = 0

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
    pods: int = 0

    def add(self, held: Holding, sign: int) -> None:
        self.jobs += sign
        self.millicores += sign * held.millicores
        self.gpus += sign * held.gpus
        self.pods += sign * held.pods


def holding(queue: str, user: User, job: JobSpec, array_at_once: int | None = None) -> Holding:
    """What a job would use; for an array, the elements that may run at the same time.

    array_at_once: how many elements Kubernetes runs at the same time at most.

    It counts for the user's account of the inventory, not the account that the job names, so that nobody can
    use up the limits of others. If the job may go to a back end that gives each task whole cores, whole cores
    are counted.
    """
    most = array_at_once if job.target is Target.KUBERNETES else None
    at_once = elements_at_once(job.array, most) if job.array else 1
    parts = (job, *job.components)
    gpus = sum(total_gpus(part) for part in parts)
    millicores = sum(_millicores(part) * part.tasks for part in parts)
    pods = sum(part.tasks for part in parts) if _may_be_pods(job) else 0
    return Holding(queue, user.name, user.account, millicores * at_once, gpus * at_once, pods * at_once)


def _may_be_pods(job: JobSpec) -> bool:
    return job.target in (Target.AUTO, Target.KUBERNETES) and Target.KUBERNETES not in job.unsupported


def _millicores(job: JobSpec) -> int:
    """Of one task."""
    millicores = job.resources.millicores or _DEFAULT_MILLICORES
    return -(-millicores // 1000) * 1000 if may_give_whole_cores(job) else millicores


def excess(wanted: Holding, queue: Queue, who: str = "") -> str:
    """Why a job does not fit into its queue even if no other job is there; empty if it does.

    who: what sets the limits, if it is not a queue.
    """
    for _, kind, _ in wanted.accounts():
        why = _beyond(_Sum(), wanted, queue.per_user if kind == "user" else queue.per_account)
        if why:
            return f"{why} that {who or f'the queue {queue.name}'} allows each {kind}"
    return ""


class _Line:
    """Jobs that wait for the same room, by user; of each user in the order in which they came."""

    def __init__(self) -> None:
        self._by_user: dict[str, dict[Key, None]] = {}
        self._users: dict[Key, str] = {}

    def __bool__(self) -> bool:
        return bool(self._users)

    def join(self, key: Key, user: str) -> None:
        if key not in self._users:
            self._users[key] = user
            self._by_user.setdefault(user, {})[key] = None

    def leave(self, key: Key) -> None:
        user = self._users.pop(key)
        del self._by_user[user][key]
        if not self._by_user[user]:
            del self._by_user[user]

    def first(self, usage: Callable[[str], float]) -> Key:
        return next(iter(self._by_user[min(self._by_user, key=usage)]))

    def ahead(self, key: Key, usage: Callable[[str], float]) -> dict[str, int]:
        """How many Jobs of each user go before this one."""
        own = self._users[key]
        # Of two who have used the same, the one who waits longer.
        order = sorted(self._by_user, key=usage)
        before = {user: len(self._by_user[user]) for user in order[: order.index(own)]}
        place = list(self._by_user[own]).index(key)
        return {**before, own: place} if place else before


class Occupancy:
    """What users and accounts hold, and which Jobs wait.

    wake: queues the Job of a key. usage: how much a user has used lately. where: where the limits hold, in
    words that follow "allowed"; by default in the queue of that name.
    """

    def __init__(
        self,
        wake: Callable[[Key], None],
        usage: Callable[[str], float] = lambda _: 0.0,
        where: str = "",
    ) -> None:
        self._wake = wake
        self._usage = usage
        self._where = where
        self._held: dict[str, Holding] = {}
        self._sums: dict[Account, _Sum] = {}
        self._waiting: dict[Account, _Line] = {}
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
            self._join(key, list(full), wanted.user)
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

    def ahead(self, key: Key) -> dict[str, int]:
        """How many Jobs of each user go before a Job that waits, in the line where that is most."""
        lines = [self._waiting[account].ahead(key, self._usage) for account in self._waits_for.get(key, ())]
        return max(lines, key=lambda line: sum(line.values()), default={})

    def wake_first(self) -> None:
        """Queue the first Job of each line, because limits may have changed."""
        for line in list(self._waiting.values()):
            self._wake(line.first(self._usage))

    def _full(self, account: Account, key: Key, wanted: Holding, queue: Queue) -> str:
        kind, whose = account[1], account[2]
        limits = queue.per_user if kind == "user" else queue.per_account
        why = _beyond(self._sums.get(account, _Sum()), wanted, limits)
        if why:
            return f"waits until the {kind} {whose} holds less than the {why} allowed {self._here(queue)}"
        line = self._waiting.get(account)
        if line and (first := line.first(self._usage)) != key:
            # Who goes first changes with what users use: the one that was woken may not be it any more.
            self._wake(first)
            return f"waits behind other jobs of the {kind} {whose} {self._here(queue)}"
        return ""

    def _here(self, queue: Queue) -> str:
        return self._where or f"in the queue {queue.name}"

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

    def _join(self, key: Key, accounts: list[Account], user: str) -> None:
        """Put the Job into these lines; it keeps its place where it already waits."""
        for account in set(self._waits_for.get(key, ())) - set(accounts):
            self._leave_line(key, account)
        for account in accounts:
            self._waiting.setdefault(account, _Line()).join(key, user)
        self._waits_for[key] = accounts

    def _leave(self, key: Key) -> None:
        for account in self._waits_for.pop(key, ()):
            self._leave_line(key, account)

    def _leave_line(self, key: Key, account: Account) -> None:
        line = self._waiting[account]
        was_first = line.first(self._usage) == key
        line.leave(key)
        if not line:
            del self._waiting[account]
        elif was_first:
            self._wake_first_of(account)

    def _wake_first_of(self, account: Account) -> None:
        line = self._waiting.get(account)
        if line:
            self._wake(line.first(self._usage))


def _beyond(total: _Sum, wanted: Holding, limits: Limits) -> str:
    """The first limit that would be exceeded, in words."""
    if limits.jobs is not None and total.jobs + 1 > limits.jobs:
        return f"{limits.jobs} jobs"
    if limits.millicores is not None and total.millicores + wanted.millicores > limits.millicores:
        return f"{limits.millicores / 1000:g} CPUs"
    if limits.gpus is not None and total.gpus + wanted.gpus > limits.gpus:
        return f"{limits.gpus} GPUs"
    if limits.pods is not None and total.pods + wanted.pods > limits.pods:
        return f"{limits.pods} pods"
    return ""
