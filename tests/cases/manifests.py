"""Counts how many manifests of batch/v1 become Jobs by one line, and what refuses the others.

Run by itself it prints the table of two sites: `python -m tests.cases.manifests [FOLDER]`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from platformctl.jobs.batch_import import from_batch
from platformctl.jobs.manifest import NotAManifestError
from platformctl.jobs.model import BACKENDS, JobSpec, Policy, Priority, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from tests.cases.case import Case, table
from tests.cases.made import TWINS

# The folder of such manifests.
KIND = "batch-v1"
ALICE = User("alice", 10001, 10001, (20001,), "physics", "/home/alice")
# What the site's users may have is known; a manifest of another site names none of it.
IDS = frozenset({10001, 10002, 20001})


def counted(folder: Path | None, *, mapped: bool = True) -> list[Case]:
    """Each manifest of a folder on each back end, in the order of their names; None: those made here.

    mapped: the site has what the manifests name: it maps their labels and claims, allows their service
    accounts, drivers and priority classes, and shows the environment of a job to nobody else.
    """
    return [
        Case(KIND, name, target, _reasons(name, text, target, mapped))
        for name, text in (_files(folder) if folder else _made())
        for target in BACKENDS
    ]


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.y*ml")):
        yield path.name, path.read_text()


def _made() -> Iterator[tuple[str, str]]:
    for title, spec in TWINS.items():
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "made"}, "spec": spec}
        yield title, yaml.safe_dump(job)


def _reasons(name: str, text: str, target: Target, mapped: bool) -> tuple[str, ...]:
    try:
        jobs = from_batch(text, name).jobs
    except NotAManifestError as error:
        return (str(error),)
    return tuple(reason for job in jobs for reason in _of_job(job, target, mapped))


def _of_job(job: dict[str, Any], target: Target, mapped: bool) -> Iterator[str]:
    checked = parse(job.get("spec"))
    if isinstance(checked, list):
        yield from map(str, checked)
        return
    namespace = str((job.get("metadata") or {}).get("namespace") or "default")
    settled = settle(checked, ALICE, _having(checked, namespace) if mapped else Policy(ids=IDS), namespace)
    refusals = settled if isinstance(settled, list) else settled.unsupported.get(target, ())
    yield from map(str, refusals)


def _having(job: JobSpec, namespace: str) -> Policy:
    """The policy of a site that has everything that a Job names."""
    sources = [volume.source for volume in job.pod.volumes]
    labels = [f"{key}={value}" for key, value in (*job.pod.node_selector.items(), *_required(job))]
    return Policy(
        priorities={job.priority_class: Priority()} if job.priority_class else {},
        service_accounts=frozenset({f"{namespace}/{job.pod.service_account}"}),
        csi_drivers=frozenset(str(source.get("driver")) for source in sources),
        ids=IDS,
        node_features={label: f"feature{number}" for number, label in enumerate(labels)},
        claim_folders={f"{namespace}/{source.get('claimName')}": "/data" for source in sources},
        slurm_secrets=True,
    )


def _required(job: JobSpec) -> Iterator[tuple[str, str]]:
    """Labels that a node affinity requires."""
    affinity = (job.pod.given.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for rule in term.get("matchExpressions") or ():
            for value in rule.get("values") or ("any",):
                yield rule["key"], value


if __name__ == "__main__":
    for having in (True, False):
        title = "where the site has what they name" if having else "at a site that maps and allows nothing"
        given = Path(sys.argv[1]) if sys.argv[1:] else None
        sys.stdout.write(f"{title}\n{table(counted(given, mapped=having))}\n")
