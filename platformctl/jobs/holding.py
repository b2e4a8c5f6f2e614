"""What live Jobs use now, by Job and by user: the request of one task times the number of running tasks.

Both schedulers reserve what is requested, so this is the rate at which a Job is charged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.jobs.model import BACKENDS
from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.jobs.view import live, phase, resources, user
from platformctl.vocabulary import GPU

TOTALS = ("user", "running", *BACKENDS, "queued", "pending", "cpus", "gpus")


@dataclass(frozen=True)
class Held:
    """What all running tasks of a Job requested. millicores: thousandths of a core."""

    millicores: int = 0
    gpus: int = 0


def held(job: Mapping[str, Any]) -> Held:
    """What a Job uses; nothing unless it runs. A task that requested no cores counts as one core."""
    if phase(job) != "Running":
        return Held()
    spec, tasks = job.get("spec") or {}, status(job).get("tasks") or {}
    together = int(spec.get("tasks") or (spec.get("nodes") or 1) * (spec.get("tasksPerNode") or 1))
    if spec.get("array"):
        together *= int(tasks.get("running") or 0)
    elif tasks.get("running") is not None:
        together = int(tasks["running"])
    asked = resources(job)
    millicores = ceiling(parse_quantity(asked.get("cpu", "1")) * 1000)
    return Held(millicores * together, ceiling(parse_quantity(asked.get(GPU, "0"))) * together)


def amounts(job: Mapping[str, Any]) -> dict[str, Any]:
    """The same for people and programs: cpus with at most one decimal, gpus."""
    holding = held(job)
    return {"cpus": cores(holding.millicores), "gpus": holding.gpus}


def totals(jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each user, most cores first: live Jobs by phase and back end, and what they use."""
    rows: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if not live(job):
            continue
        row = rows.setdefault(user(job), dict.fromkeys(TOTALS, 0) | {"user": user(job)})
        row[phase(job).lower()] += 1
        if phase(job) == "Running" and status(job).get("backend") in BACKENDS:
            row[status(job)["backend"]] += 1
        row["cpus"] += held(job).millicores
        row["gpus"] += held(job).gpus
    for row in rows.values():
        row["cpus"] = cores(row["cpus"])
    return sorted(rows.values(), key=lambda row: (-row["cpus"], -row["running"], row["user"]))


def cores(millicores: int) -> float:
    """Cores with at most one decimal; without decimals if the number is whole."""
    whole, remainder = divmod(millicores, 1000)
    return round(millicores / 1000, 1) if remainder else whole


def status(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status; empty before the router first wrote it."""
    return job.get("status") or {}
