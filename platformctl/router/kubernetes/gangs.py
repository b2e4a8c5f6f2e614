"""Starts a job of several tasks only when there is room for all, so that no running task waits for others.

Until then the batch Job stays suspended and has no pods. The pods of a job that was just admitted are not
visible on the nodes yet, so its request is counted as used for a while. An array's elements need not run
together.
"""

import time
from collections import deque
from fractions import Fraction

from platformctl.router import fit
from platformctl.router.backend import Ticket
from platformctl.router.kubernetes.nodes import Nodes, wanted

# Seconds until the pods of an admitted job are certainly listed.
_SETTLING = 45.0


class Gangs:
    """The jobs that wait for room, and those that were just admitted."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._waits: dict[str, str] = {}
        self._admitted: deque[tuple[float, str, fit.Amounts, int]] = deque()

    def waits(self, job_id: str) -> str:
        """Why a job is not admitted; empty if it does not wait here."""
        return self._waits.get(job_id, "")

    def forget(self, job_id: str) -> None:
        """The job is gone."""
        self._waits.pop(job_id, None)

    async def admit(self, ticket: Ticket, job_id: str) -> bool:
        """Whether all tasks of a job fit at this moment."""
        job = ticket.job
        if job.array is not None or job.tasks == 1:
            return True
        request = wanted(job)
        free = list((await self._nodes.free(ticket)).values())
        room = fit.room(request, free) - self._promised(request)
        if room < job.tasks:
            self._waits[job_id] = f"waits until all {job.tasks} tasks fit at once; {max(0, room)} do now"
            return False
        self.forget(job_id)
        self._admitted.append((time.monotonic() + _SETTLING, job_id, request, job.tasks))
        return True

    def _promised(self, request: fit.Amounts) -> int:
        """How many tasks of this size fit into the room of admitted jobs whose pods are not listed yet."""
        while self._admitted and self._admitted[0][0] < time.monotonic():
            self._admitted.popleft()
        total: dict[str, Fraction] = {}
        for _, _, amounts, tasks in self._admitted:
            for name, amount in amounts.items():
                total[name] = total.get(name, Fraction(0)) + amount * tasks
        return max(
            (-int(-total.get(name, Fraction(0)) // amount) for name, amount in request.items()), default=0
        )
