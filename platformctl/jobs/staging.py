"""Files copied as the job's user before its start and after its end: stageIn and stageOut.

A source that is a folder is copied with all in it; a target is the exact name that the copy gets, and the
folders above it are made. A copy that fails ends the job with CANNOT_COPY, unless it had failed before.
"""

from collections.abc import Iterable

from platformctl.jobs.model import JobSpec, Refusal, Transfer, User

# EX_IOERR of BSD's sysexits.h.
CANNOT_COPY = 74


def copies(transfers: Iterable[Transfer], home: str) -> list[tuple[str, str, str]]:
    """Absolute source and target of each, and the folder that the target is in."""
    found = []
    for transfer in transfers:
        source, target = absolute(transfer.source, home), absolute(transfer.target, home)
        found.append((source, target, target.rpartition("/")[0] or "/"))
    return found


def absolute(path: str, home: str) -> str:
    """A path as it is, or below the home."""
    return path if path.startswith("/") else f"{home}/{path}"


def outside(job: JobSpec, user: User, folders: Iterable[str]) -> list[Refusal]:
    """The paths that are neither below the user's home nor below one of the folders."""
    allowed = [f"{folder.rstrip('/')}/" for folder in (user.home, *folders)]
    return [
        Refusal(path, f"must be below {' or '.join(folder.rstrip('/') for folder in allowed)}")
        for path, text in _paths(job)
        if not absolute(text, user.home).startswith(tuple(allowed))
    ]


def _paths(job: JobSpec) -> list[tuple[str, str]]:
    """Every path of a job with where it stands in the spec."""
    return [
        (f"spec.{name}[{number}].{end}", text)
        for name, transfers in (("stageIn", job.stage_in), ("stageOut", job.stage_out))
        for number, transfer in enumerate(transfers)
        for end, text in (("source", transfer.source), ("target", transfer.target))
    ]
