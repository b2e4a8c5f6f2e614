"""Why a job on Slurm waits: its record, the jobs that go first, its nodes, and the limits of its user."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from platformctl.clients.slurmrestd import SlurmError, SlurmRestClient, number
from platformctl.router.backend import Explanation, Ticket
from platformctl.router.loop.cached import Cached
from platformctl.router.slurm import reasons as slurm_reasons
from platformctl.router.slurm import states as slurm_states
from platformctl.router.slurm.cluster import Cluster, in_service
from platformctl.vocabulary import Phase

# A record has 8 kB: if there are more jobs than this, the jobs that go first are not looked up.
_MAX_JOBS = 1000
_MAX_NAMED = 20
_BEHIND_OTHERS = ("Priority", "Resources", "None", "")

type Shares = Cached[dict[tuple[str, str], float]]
"""The fair-share factors by account and user."""


async def explanation(
    client: SlurmRestClient, reader: str, cluster: Cluster, shares: Shares, ticket: Ticket, job_id: int
) -> Explanation:
    """Sentences, most important first. Raises SlurmError."""
    records = await client.records(reader, job_id)
    if not slurm_states.carries(records[0], ticket.claim):
        return Explanation((f"Slurm no longer knows this job; the id {job_id} belongs to another job now.",))
    waits = [record for record in records if slurm_states.run_of(record).phase is Phase.QUEUED]
    if not waits:
        return Explanation((f"{slurm_states.run_of(records[0]).phase} in Slurm.",))
    record = waits[0]
    run, reason = slurm_states.run_of(record), str(record.get("state_reason") or "")
    partition = str(record.get("partition") or "")
    sentences = [f"Slurm, partition {partition}: {run.reason or 'waits to be scheduled'}."]
    behind: tuple[str, ...] = ()
    if reason in _BEHIND_OTHERS:
        others, ahead = await _others(client, reader, record)
        sentences += others
        behind = ahead
    if slurm_reasons.limit_words(reason) or reason.startswith(("Assoc", "QOS")):
        sentences += await _limits(client, reader, ticket, record)
    sentences += await _nodes(cluster, partition)
    start = None if run.held else run.expected
    sentences.append(_start(start))
    return Explanation(tuple(sentences), behind, start, await _fair_share(shares, ticket, record))


async def _others(
    client: SlurmRestClient, reader: str, record: dict[str, Any]
) -> tuple[list[str], tuple[str, ...]]:
    """The jobs that go first in the partition, and those that run in it now."""
    if len(await client.states(reader)) > _MAX_JOBS:
        return [f"More than {_MAX_JOBS} jobs are in Slurm; those that go first were not looked up."], ()
    partition, here = record.get("partition"), []
    for other in await client.jobs(reader):
        if other["job_id"] != record["job_id"] and other.get("partition") == partition:
            here.append(other)
    first = sorted((other for other in here if _goes_first(other, record)), key=_rank)
    running = [other for other in here if slurm_states.run_of(other).phase is Phase.RUNNING]
    ids = tuple(str(other["job_id"]) for other in first)
    sentences = []
    if first:
        sentences.append(f"{_count(first, 'job')} of higher or equal priority go first: {_named(ids)}.")
    if running:
        cpus = sum(slurm_states.run_of(other).cpus for other in running)
        ends = [end for other in running if (end := number(other.get("end_time")))]
        latest = f"; the first of them ends by {_time(min(ends))}" if ends else ""
        held = "holds" if len(running) == 1 else "hold"
        sentences.append(f"{_count(running, 'running job')} {held} {cpus} CPUs{latest}.")
    return sentences, ids[:_MAX_NAMED]


def _goes_first(other: dict[str, Any], record: dict[str, Any]) -> bool:
    run = slurm_states.run_of(other)
    return run.phase is Phase.QUEUED and not run.held and _rank(other) < _rank(record)


def _rank(record: dict[str, Any]) -> tuple[int, int]:
    """Slurm's order: the higher priority, then the older job."""
    return -(number(record.get("priority")) or 0), int(record["job_id"])


async def _limits(client: SlurmRestClient, reader: str, ticket: Ticket, record: dict[str, Any]) -> list[str]:
    """The limits of the user in the account, as far as the accounting database knows them."""
    account = str(record.get("account") or ticket.job.account or ticket.user.account or "")
    try:
        associations = await client.associations(reader, ticket.user.name, account)
    except SlurmError:
        return []
    set_ones = [
        text for association in associations for text in _set_limits(association.get("max") or {}, "")
    ]
    if not set_ones:
        return []
    return [f"Limits of {ticket.user.name} in the account {account}: {', '.join(sorted(set(set_ones)))}."]


def _set_limits(value: Any, path: str) -> list[str]:
    """Every number that is set in a tree of limits, with its path."""
    if isinstance(value, dict) and not ("set" in value or "infinite" in value):
        return [text for key, part in value.items() for text in _set_limits(part, f"{path} {key}".strip())]
    if isinstance(value, list):
        amounts = [
            f"{item['type']}{'/' + item['name'] if item.get('name') else ''} {item['count']}"
            for item in value
            if isinstance(item, dict) and item.get("count") is not None and item.get("type")
        ]
        return [f"{path.replace('_', ' ')} {' '.join(amounts)}"] if amounts else []
    amount = number(value) if isinstance(value, dict) else None
    return [] if amount is None else [f"{path.replace('_', ' ')} {amount}"]


async def _fair_share(shares: Shares, ticket: Ticket, record: dict[str, Any]) -> float | None:
    try:
        return (await shares.get()).get((str(record.get("account") or ""), ticket.user.name))
    except SlurmError:
        return None


async def _nodes(cluster: Cluster, partition: str) -> list[str]:
    """Nodes of the partition that accept no jobs."""
    out = [node for node in await cluster.nodes(partition) if not in_service(node)]
    if not out:
        return []
    names = [f"{node['name']} ({node['reason']})" if node.get("reason") else node["name"] for node in out]
    take = "takes" if len(out) == 1 else "take"
    return [f"{_count(out, 'node')} of the partition {partition} {take} no jobs: {_named(names)}."]


def _start(start: int | None) -> str:
    if start is None:
        return "Slurm has not estimated its start."
    return f"Slurm expects it to start at {_time(start)}, or earlier if others end before their time."


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) != 1 else ''}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _time(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
