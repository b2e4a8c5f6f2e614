"""stageIn and stageOut: files copied as the job's user before its start and after its end.

A folder is copied with everything in it. A target is the exact name of the copy; missing folders above it are
created. If a copy fails, the job ends with CANNOT_COPY, unless it had already failed.
"""

from collections.abc import Iterable

from platformctl.jobs.model import JobSpec, Refusal, Transfer, User

# EX_IOERR of BSD's sysexits.h.
CANNOT_COPY = 74


def copies(transfers: Iterable[Transfer], home: str) -> list[tuple[str, str, str]]:
    """For each copy the absolute source and target, and the folder that the target is in."""
    resolved = []
    for transfer in transfers:
        source, target = absolute(transfer.source, home), absolute(transfer.target, home)
        resolved.append((source, target, target.rpartition("/")[0] or "/"))
    return resolved


def absolute(path: str, home: str) -> str:
    """An absolute path unchanged, or a relative one below the home."""
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
    """Every path of a job, with its field path in the spec."""
    return [
        (f"spec.{name}[{number}].{end}", text)
        for name, transfers in (("stageIn", job.stage_in), ("stageOut", job.stage_out))
        for number, transfer in enumerate(transfers)
        for end, text in (("source", transfer.source), ("target", transfer.target))
    ]
