"""Proves a stage after it ran: waits for its health checks; what stays bad becomes results of hosts."""

from collections.abc import Collection, Sequence

from platformctl.engine.checking.proofs import waiting
from platformctl.engine.checking.proofs.health_check import Answer
from platformctl.engine.checking.proofs.waiting import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.record import Records
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import HostResult, Status
from platformctl.engine.stages import Stage

_PROOF = "health checks after the stage"
# What comes within this time after a stage is no wait that somebody must be told of.
_PATIENT_SECONDS = 3


def teller(journal: Journal, stage: str, everywhere: Sequence[str]) -> Say:
    """Reports what a stage waits for. everywhere: the hosts of what concerns no single one."""
    told = ""

    def say(bad: Sequence[Answer], seconds: float) -> None:
        nonlocal told
        words = waiting.waits(bad)
        hosts = list(dict.fromkeys(answer.subject for answer in bad if answer.subject)) or list(everywhere)
        new = seconds >= _PATIENT_SECONDS and words != told
        told = words if new else told
        event = {"hosts": hosts, "words": words, "detail": "", "seconds": round(seconds)}
        journal.emit("waiting", stage=stage, new=new, **event)

    return say


async def prove(
    fleet: Fleet,
    stage: Stage,
    hosts: Sequence[str],
    records: Records,
    in_service: Collection[str],
    journal: Journal,
) -> dict[str, HostResult]:
    """Wait until the stage is healthy on these hosts; returns the results of those where it is not."""
    if not hosts:
        return {}
    # Hosts that did not answer before are not asked again for what they have.
    known = {**dict.fromkeys(records.down, frozenset[str]()), **records.applied}
    say = teller(journal, stage.name, hosts)
    verdict = await waiting.prove(fleet, stage, hosts, known, in_service, say)
    results: dict[str, HostResult] = {}
    for host in hosts:
        if words := verdict.words(host):
            results[host] = HostResult(Status.FAILED, _PROOF, "\n".join(words))
        elif reply := verdict.down.get(stage.recorded_on(fleet, host)):
            results[host] = HostResult(Status.UNREACHABLE, _PROOF, reply.message)
    return results
