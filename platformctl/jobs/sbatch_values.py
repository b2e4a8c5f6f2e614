"""Translates the values of sbatch's options to those of a Job; ValueError says what to write instead.

Formats are those of sbatch 24.11's manual page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from platformctl.jobs.slurm_wire import MAILS

_TIMES = tuple(
    re.compile(form, re.ASCII)
    for form in (
        r"(?P<m>\d{1,9})(:(?P<s>\d{1,2}))?",
        r"(?P<h>\d{1,6}):(?P<m>\d{1,2}):(?P<s>\d{1,2})",
        r"(?P<d>\d{1,4})-(?P<h>\d{1,2})(:(?P<m>\d{1,2})(:(?P<s>\d{1,2}))?)?",
    )
)
_PLAIN_GPUS = re.compile(r"(?:gres[/:])?gpu(?:[:=](?P<count>\d{1,6}))?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_WHEN = {"after": "started", "afterany": "finished", "afternotok": "failed", "afterok": "succeeded"}
_JOB_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"(?P<stem>[^,\[\]]*)(?:\[(?P<ranges>[0-9,-]+)\])?(?P<end>[^,\[\]]*)", re.ASCII)


def whole(text: str) -> int:
    """A number above zero."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1:
        raise ValueError(f"{text[:40]!r} is not a number above zero")
    return int(text)


def nodes(text: str) -> int | str:
    """How many nodes; a range stays a text."""
    least, dash, most = text.partition("-")
    if least.isdecimal() and (not dash or least == most):
        return whole(least)
    if least.isdecimal() and most.isdecimal() and int(least) > int(most):
        raise ValueError(f"{text[:40]!r} has fewer nodes at most than at least")
    return text


def walltime(text: str) -> str | None:
    """sbatch's time as a Job's `D-HH:MM:SS`; None for no limit."""
    given = 0 if text.upper() in ("UNLIMITED", "INFINITE", "-1") else seconds(text)
    if not given:
        return None
    days, remainder = divmod(given, 86400)
    clock = f"{remainder // 3600:02}:{remainder // 60 % 60:02}:{remainder % 60:02}"
    return f"{days}-{clock}" if days else clock


def seconds(text: str) -> int:
    """Seconds of minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS."""
    match = next((fitting for form in _TIMES if (fitting := form.fullmatch(text))), None)
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is not a time: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS"
        )
    parts = {key: int(value or 0) for key, value in match.groupdict().items()}
    return ((parts.get("d", 0) * 24 + parts.get("h", 0)) * 60 + parts.get("m", 0)) * 60 + parts.get("s", 0)


def minutes(text: str) -> int:
    """Whole minutes of a time, rounded up."""
    return -(-seconds(text) // 60)


def switches(text: str) -> str:
    """`COUNT[@TIME]` with the time in seconds."""
    count, at, time = text.partition("@")
    return f"{count}@{seconds(time)}" if at else count


def array(text: str) -> str:
    """The text for a Job, without brackets; the Job's own check comes later."""
    bare = text.replace("[", "").replace("]", "")
    if not re.fullmatch(r"[0-9,:%-]+", bare):
        raise ValueError(f"{text[:40]!r} is not a list of indices, such as 0-99%10")
    return bare


def hosts(text: str) -> int:
    """How many nodes a list names: `node[1-3,7],gpu1` are five."""
    total = 0
    for match in _HOST.finditer(text):
        if match["ranges"]:
            ends = [span.partition("-") for span in match["ranges"].split(",")]
            total += sum(int(last or first) - int(first) + 1 for first, _, last in ends)
        elif match["stem"] or match["end"]:
            total += 1
    return total


def one_name(text: str) -> str:
    """A name. Accounts may contain '@'."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a name: letters, digits, '.', '_', '-' and '@'")
    return text


def yes_or_no(text: str) -> bool:
    """yes or no, in any case."""
    if text.lower() not in ("yes", "no"):
        raise ValueError(f"{text[:40]!r} is neither yes nor no")
    return text.lower() == "yes"


def plain_gpus(text: str) -> int | None:
    """GPUs of a node in a list of devices, if it names no type and no other device."""
    if text.lower() == "none":
        return 0
    counts = [match["count"] for item in text.split(",") if (match := _PLAIN_GPUS.fullmatch(item))]
    if len(counts) != len(text.split(",")):
        return None
    return sum(1 if count is None else int(count) for count in counts)


def mails(text: str) -> tuple[list[str], list[str]]:
    """The types of mail, and words that sbatch ignores beside them; none for NONE."""
    names = [name for name in text.upper().split(",") if name]
    if "NONE" in names:
        return [], []
    known = [name for name in names if name in MAILS]
    every = [name for name in _ALL_MAILS if name not in known] if "ALL" in names else []
    ignored = [name for name in names if name not in MAILS and name != "ALL"]
    if not known and not every:
        raise ValueError(f"{text[:40]!r} holds no type of mail: ALL, NONE, or some of {', '.join(MAILS)}")
    return [*known, *every], ignored


# What ALL stands for.
_ALL_MAILS = ("BEGIN", "END", "FAIL", "REQUEUE", "INVALID_DEPEND", "STAGE_OUT")


@dataclass(frozen=True)
class Dependencies:
    """What to wait for: Jobs by name with `when`, and the rest, by ids, as Slurm's own text."""

    jobs: tuple[tuple[str, str], ...] = ()
    slurm: str = ""


def dependencies(text: str, job_names: Mapping[str, str]) -> Dependencies:
    """Names of Jobs and ids of Slurm's jobs, taken apart. job_names: of Jobs, by their ids on Slurm."""
    jobs: list[tuple[str, str]] = []
    kept = []
    if "?" in text:
        if re.search("[a-z0-9]-[a-z0-9]", text):
            raise ValueError(
                "with '?' for any of them, all must be ids of Slurm's jobs: see `job describe NAME`"
            )
        return Dependencies(slurm=text.lower())
    for item in filter(None, text.split(",")):
        kind, *whats = item.split(":")
        ids = []
        for what in whats:
            name = job_names.get(what, what)
            if re.fullmatch(r"\d+(_\d+|_\*)?(\+\d+)?", name, re.ASCII):
                ids.append(name)
            elif not _JOB_NAME.fullmatch(name):
                raise ValueError(f"{what[:60]!r} is neither the name of a Job nor the id of a Slurm job")
            elif kind.lower() not in _WHEN:
                raise ValueError(f"{kind[:40]!r} needs ids of Slurm's jobs; for Jobs: {', '.join(_WHEN)}")
            else:
                jobs.append((name, _WHEN[kind.lower()]))
        if ids or not whats:
            kept.append(":".join([kind.lower(), *ids]))
    return Dependencies(tuple(jobs), ",".join(kept))
