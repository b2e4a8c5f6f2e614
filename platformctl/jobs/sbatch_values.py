"""Translates the values of sbatch's options to those of a Job; ValueError says what to write instead.

Formats are those of sbatch 24.11's manual page.
"""

import re

_TIMES = tuple(
    re.compile(form, re.ASCII)
    for form in (
        r"(?P<m>\d{1,9})(:(?P<s>\d{1,2}))?",
        r"(?P<h>\d{1,6}):(?P<m>\d{1,2}):(?P<s>\d{1,2})",
        r"(?P<d>\d{1,4})-(?P<h>\d{1,2})(:(?P<m>\d{1,2})(:(?P<s>\d{1,2}))?)?",
    )
)
_SIZE = re.compile(r"(\d{1,15})(?:([KMGTkmgt])[Bb]?)?", re.ASCII)
_MEBI = {"k": -10, "m": 0, "g": 10, "t": 20}
_GPUS = re.compile(r"(?:(?P<kind>[A-Za-z][\w.-]*)[:=])?(?P<count>\d{1,6})", re.ASCII)
_GRES = re.compile(r"(?:gres[/:])?(?P<name>[A-Za-z_]\w*)(?:[:=/](?P<amount>.*))?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_QUOTES = ("'", '"')
_WHEN = {"after": "started", "afterany": "finished", "afternotok": "failed", "afterok": "succeeded"}


def whole(text: str) -> int:
    """A number above zero."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1:
        raise ValueError(f"{text[:40]!r} is not a number above zero")
    return int(text)


def nodes(text: str) -> int:
    """How many nodes; a range only when both ends are the same."""
    least, dash, most = text.partition("-")
    if dash and least != most:
        raise ValueError(f"{text[:40]!r} is a range, and a Job has one number of nodes")
    return whole(least)


def walltime(text: str) -> str:
    """sbatch's time as a Job's `D-HH:MM:SS`."""
    if text.upper() in ("UNLIMITED", "INFINITE", "-1", "0"):
        raise ValueError("a Job needs a limited wall time: give one")
    match = next((fitting for form in _TIMES if (fitting := form.fullmatch(text))), None)
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is not a time: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS"
        )
    parts = {key: int(value or 0) for key, value in match.groupdict().items()}
    seconds = ((parts.get("d", 0) * 24 + parts.get("h", 0)) * 60 + parts.get("m", 0)) * 60 + parts.get("s", 0)
    days, remainder = divmod(seconds, 86400)
    clock = f"{remainder // 3600:02}:{remainder // 60 % 60:02}:{remainder % 60:02}"
    return f"{days}-{clock}" if days else clock


def array(text: str) -> str:
    """The same text for a Job; the Job's own check comes later."""
    if not re.fullmatch(r"[0-9,:%-]+", text):
        raise ValueError(f"{text[:40]!r} is not a list of indices, such as 0-99%10")
    return text


def one_name(text: str) -> str:
    """A single name, not a list."""
    if "," in text:
        raise ValueError("a Job has only one, and this is a list: choose one")
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a name: letters, digits, '.', '_' and '-'")
    return text


def only_yes(text: str) -> bool:
    """Accepts only yes, which a Job does anyway."""
    if text != "yes":
        raise ValueError("a Job whose dependency can no longer be met is always refused")
    return True


def mebibytes(text: str) -> int:
    """Slurm's memory, in MiB unless it has a unit; rounded up."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an amount of memory, such as 4000M or 16G")
    amount, shift = int(match[1]), _MEBI[(match[2] or "m").lower()]
    if not amount:
        raise ValueError("0 means all memory of a node, which a Job cannot ask for: give an amount")
    return amount << shift if shift >= 0 else -(-amount >> -shift)


def gpus(text: str) -> int:
    """A number of GPUs without a type."""
    match = _GPUS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a number of GPUs")
    if match["kind"]:
        raise ValueError(
            f"the queue decides the type: write {match['count']}, and name the queue with {match['kind']}"
        )
    return whole(match["count"])


def gres(text: str) -> int:
    """GPUs of a node, as gpu or gpu:2; nothing else is understood."""
    total = 0
    for item in text.split(","):
        match = _GRES.fullmatch(item)
        if match is None or match["name"] != "gpu":
            raise ValueError(f"{item[:40]!r} is not supported, only gpu")
        amount = match["amount"] or "1"
        total += gpus(amount if re.search(r"(^|[:=])[0-9]+$", amount) else f"{amount}:1")
    return total


def tres(text: str) -> dict[str, int]:
    """cpus, memory (bytes) and gpus of a task, as cpu=4,mem=2G,gres/gpu:1."""
    amounts: dict[str, int] = {}
    for item in text.split(","):
        name, _, amount = item.replace("gres:", "gres/").partition("=" if "=" in item else ":")
        if name == "cpu":
            amounts["cpus"] = whole(amount)
        elif name == "mem":
            amounts["memory"] = mebibytes(amount) * 2**20
        elif name == "gres/gpu":
            amounts["gpus"] = gpus(amount or "1")
        else:
            raise ValueError(f"{item[:40]!r} is not supported, only cpu, mem and gres/gpu")
    return amounts


def dependencies(text: str) -> list[tuple[str, str]]:
    """Slurm job ids and what to wait for; all must happen."""
    if "?" in text:
        raise ValueError("a Job waits for all of its dependencies, not for any of them (?)")
    pairs = []
    for item in text.split(","):
        kind, *ids = item.split(":")
        if kind not in _WHEN:
            raise ValueError(f"{kind[:40]!r} is not supported, only {', '.join(_WHEN)}")
        for job_id in ids or [""]:
            if not re.fullmatch(r"\d{1,12}", job_id, re.ASCII):
                raise ValueError(f"{job_id[:40]!r} is not the id of a job")
            pairs.append((job_id, _WHEN[kind]))
    return pairs


def exports(text: str) -> dict[str, str]:
    """Variables with their values; NONE and NIL are none."""
    variables = {}
    if text in ("NONE", "NIL"):
        return {}
    for item in _quoted_items(text):
        name, equals, value = item.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{item[:40]!r} would come from the submitting shell, which a Job does not know: "
                "write NAME=value, or NONE"
            )
        variables[name] = value
    return variables


def _quoted_items(text: str) -> list[str]:
    """The items between commas outside of quotes; quotes around a whole item are not part of it.

    As in sbatch: inside one kind of quote the other kind is an ordinary character. A quote that is not closed
    is an ordinary character of an item that continues to the end.
    """
    items: list[str] = []
    start, within = 0, dict.fromkeys(_QUOTES, False)
    for index, letter in enumerate(text):
        if letter in within:
            within[letter] = not within[letter]
        elif letter == "," and not any(within.values()):
            items.append(_bare(text[start:index]))
            start = index + 1
    last = text[start:]
    return [*items, last if any(within.values()) else _bare(last)]


def _bare(item: str) -> str:
    return item[1:-1] if item[:1] in _QUOTES and item[:1] == item[-1:] else item


def appends(text: str) -> bool:
    """Whether files are appended to."""
    if text not in ("append", "truncate"):
        raise ValueError(f"{text[:40]!r} is neither append nor truncate")
    return text == "append"
