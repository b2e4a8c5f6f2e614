"""`platformctl job import` of a manifest of batch/v1."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platformctl.cli import job_rows, job_wait
from platformctl.cli.cluster import Access
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs.model import BACKENDS, JobSpec, Refusal, Target


def import_manifest(
    output: Output, file: str, text: str, target: Target | None, access: Access | None, watch: bool
) -> None:
    """Print the Jobs, or submit them. target: None to keep what the manifest says. access: None to print."""
    from platformctl.jobs.batch_import import from_batch
    from platformctl.jobs.manifest import NotAManifestError, as_yaml

    try:
        imported = from_batch(text, "stdin" if file == "-" else Path(file).stem)
    except NotAManifestError as error:
        raise PlatformError(
            f"{file} {error}",
            next="give a manifest of batch/v1, or a script for sbatch, which begins with #!",
            code=ExitCode.INVALID,
        ) from error
    jobs = [_with_target(job, target) for job in imported.jobs]
    notes = list(imported.notes)
    for job in jobs:
        notes += _checked(job, file)
    for note in dict.fromkeys(notes):
        output.remark(job_rows.plain(f"note: {note}"))
    if access:
        job_wait.submit(output, jobs, access, watch)
    elif output.json:
        output.document({"jobs": jobs, "notes": notes})
    else:
        print("---\n".join(as_yaml(job) for job in jobs), end="")


def _with_target(job: dict[str, Any], target: Target | None) -> dict[str, Any]:
    spec = job.get("spec")
    if target is None or not isinstance(spec, dict):
        return job
    return {**job, "spec": {**spec, "target": str(target)}}


def _checked(job: dict[str, Any], file: str) -> Iterator[str]:
    """Notes about one Job; PlatformError if it can run nowhere."""
    from platformctl.jobs.parse import parse

    found = parse(job.get("spec"))
    if isinstance(found, list):
        raise _refused(file, job, found)
    possible = BACKENDS if found.target is Target.AUTO else (found.target,)
    if all(found.unsupported.get(one) for one in possible):
        raise _refused(file, job, [refusal for one in possible for refusal in found.unsupported[one]])
    return _notes(job, found, possible)


def _notes(job: dict[str, Any], found: JobSpec, possible: tuple[Target, ...]) -> Iterator[str]:
    name = _name(job)
    for target in possible:
        for refusal in found.unsupported.get(target, ()):
            yield f"{name}: cannot run on {target}: {refusal}"
        if not found.unsupported.get(target):
            yield from (f"{name}: {wish}" for wish in found.dropped.get(target, ()))


def _refused(file: str, job: dict[str, Any], refusals: list[Refusal]) -> PlatformError:
    from platformctl.jobs.manifest import complaints

    lines = complaints(refusals)
    return PlatformError(
        f"{file}: the Job {_name(job)} cannot be imported; to change: {len(lines)}",
        details=lines,
        next="change the manifest; all fields: platformctl docs jobs",
        code=ExitCode.INVALID,
    )


def _name(job: dict[str, Any]) -> str:
    metadata = job.get("metadata") or {}
    return str(metadata.get("name") or metadata.get("generateName"))
