"""Wall time in the three ways people write it.

Whole seconds (5400), Slurm's clock (`01:30:00`, `2-12:00:00`), or units (`90m`, `1h30m`, `2d`).
"""

import re

MAX_SECONDS = 366 * 86400

_CLOCK = re.compile(r"(?:(\d{1,3})-)?(\d{1,4}):([0-5]\d):([0-5]\d)", re.ASCII)
_UNITS = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)


def parse_walltime(value: object) -> int:
    """Seconds, from 1 to MAX_SECONDS; otherwise ValueError with a text for people."""
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError('must be whole seconds, "HH:MM:SS", "D-HH:MM:SS" or units such as "1h30m"')
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(f"must be from 1 second to {MAX_SECONDS // 86400} days")
    return seconds


def _seconds(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value:
        return None
    match = _CLOCK.fullmatch(value) or _UNITS.fullmatch(value)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
