"""Points of time as sbatch reads them for --begin and --deadline: `16:00`, `now+1hour`, `2027-01-15`, `noon`.

The rules are those of Slurm 24.11 (parse_time.c). A time of day without a date is the next one.
"""

import re
from datetime import UTC, datetime, timedelta

_CLOCKS = {"midnight": 0, "noon": 12, "elevenses": 11, "fika": 15, "teatime": 16}
_UNITS = {"": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_NOW = re.compile(
    r"now(?:\s*(?P<sign>[+-])\s*(?P<count>\d{1,9})\s*(?P<unit>second|minute|hour|day|week|)s?)?", re.ASCII
)
# Clocks come first: `12:30` is no date. Between the parts there may be blanks, '-' and 'T'.
_PART = re.compile(
    r"[\s\-t]*(?:"
    r"(?P<day>today|tomorrow)|(?P<word>midnight|noon|elevenses|fika|teatime)"
    r"|(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>am|pm)?"
    r"|(?P<iso>(\d{4})-(\d{1,2})-(\d{1,2}))"
    r"|(?P<american>(\d{1,2})[./](\d{1,2})(?:[./](\d{2}))?)"
    r"|(?P<squeezed>(\d{2})(\d{2})(\d{2})?)"
    r")",
    re.ASCII,
)
_FORMS = "HH:MM, YYYY-MM-DD, YYYY-MM-DDTHH:MM, MM/DD/YY, tomorrow, noon, or now+90minutes"


def point(text: str, now: datetime) -> datetime:
    """The moment that a text means. now: with the zone in which the text is read. ValueError."""
    wrong = ValueError(f"{text[:40]!r} is not a time: {_FORMS}")
    said = text.strip().lower()
    if re.fullmatch(r"uts\d{7,12}", said, re.ASCII):
        return datetime.fromtimestamp(int(said[3:]), UTC)
    if match := _NOW.fullmatch(said):
        seconds = int(match["count"] or 0) * _UNITS[match["unit"] or ""]
        return now + timedelta(seconds=-seconds if match["sign"] == "-" else seconds)
    parts = _parts(said, now)
    if parts is None:
        raise wrong
    date, clock = parts
    year, month, day = date or (now.year, now.month, now.day)
    try:
        found = now.replace(
            year=year or now.year, month=month, day=day,
            hour=clock[0], minute=clock[1], second=clock[2], microsecond=0,
        )  # fmt: skip
    except ValueError:
        raise wrong from None
    if date is None and clock[:2] <= (now.hour, now.minute):
        return found + timedelta(days=1)
    if not year and found <= now:
        return found.replace(year=found.year + 1)
    return found


type _Numbers = tuple[int, int, int]


def _parts(said: str, now: datetime) -> tuple[_Numbers | None, _Numbers] | None:
    """Year (0 if it is not said), month and day; and hour, minute and second. None if it is no time."""
    date: _Numbers | None = None
    clock: _Numbers | None = None
    while said:
        match = _PART.match(said)
        if match is None:
            return None
        if match["day"]:
            then = now + timedelta(days=match["day"] == "tomorrow")
            date = then.year, then.month, then.day
        elif match["word"]:
            clock = _CLOCKS[match["word"]], 0, 0
        elif match["hour"]:
            clock = _of_day(match)
        else:
            date = _date(match)
        said = said[match.end() :]
    return (date, clock or (0, 0, 0)) if date or clock else None


def _date(match: re.Match[str]) -> _Numbers:
    numbers = [int(part) for part in re.findall(r"\d+", match["iso"] or match["american"] or "")]
    if match["squeezed"]:
        numbers = [int(match["squeezed"][at : at + 2]) for at in range(0, len(match["squeezed"]), 2)]
    if match["iso"]:
        return numbers[0], numbers[1], numbers[2]
    return (numbers[2] + 2000 if numbers[2:] else 0), numbers[0], numbers[1]


def _of_day(match: re.Match[str]) -> _Numbers:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] == "pm" else 0)
    return hour, minute, second
