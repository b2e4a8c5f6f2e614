"""The work on a node that takes no more: how long it may go on, and what becomes of it then."""

import time
from dataclasses import dataclass

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff import account as accounts
from platformctl.engine.handoff import kubernetes_side, slurm_side
from platformctl.engine.handoff.account import Account, Drain, Noted

_END_SECONDS = 60


@dataclass(frozen=True)
class Policy:
    """What becomes of the work on a node that takes no more.

    seconds: how long to wait for it. requeue: jobs go back into the queue, and pods are evicted, at once.
    ends: after that time what is left is ended. now: all is ended at once.
    """

    seconds: float
    requeue: bool = False
    ends: bool = False
    now: bool = False

    @property
    def deadline(self) -> float:
        """Until when to wait, as time.monotonic() tells it."""
        return time.monotonic() + (0 if self.now else self.seconds)


async def drain_slurm(
    fleet: Fleet, client: KubernetesClient, account: Account, why: str, noted: Noted
) -> Account:
    """Drain a node in Slurm that nobody has drained, and note in its account that this drain is ours.

    The reason is noted before, so that a kill forgets none. Returns the account as it is then.
    """
    text = slurm_side.reason(why)
    account = await accounts.write(client, account.noting(noted, Drain(text, "")))
    found = await slurm_side.drain(fleet, account.name, text)
    return await accounts.write(client, account.noting(noted, found))


async def leave_slurm(fleet: Fleet, name: str, policy: Policy, say: Say) -> list[str]:
    """Let the jobs of a drained node end; returns in words those that have not, in time."""
    deadline = policy.deadline
    if policy.requeue:
        await slurm_side.requeue(fleet, await slurm_side.jobs(fleet, name))
    left = await slurm_side.idle(fleet, name, deadline, say)
    if left and (policy.ends or policy.now):
        await slurm_side.end(fleet, await slurm_side.requeue(fleet, left))
        left = await slurm_side.idle(fleet, name, time.monotonic() + _END_SECONDS, say)
    return [str(job) for job in left]


async def leave_kubernetes(client: KubernetesClient, name: str, policy: Policy, say: Say) -> list[str]:
    """Let the pods of a node that takes no new ones end; returns in words those that have not, in time."""
    wait = not (policy.requeue or policy.now)
    left = await kubernetes_side.empty(client, name, policy.deadline, say, wait=wait, force=policy.now)
    if left and (policy.ends or policy.now):
        deadline = time.monotonic() + _END_SECONDS
        left = await kubernetes_side.empty(client, name, deadline, say, wait=False, force=True)
    return [kubernetes_side.words(pod) for pod in left]
