"""Points of time in every form of sbatch."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from platformctl.jobs.sbatch_times import point

NOW = datetime(2026, 11, 29, 15, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16:00", "2026-11-29T16:00:00"),
        ("15:30", "2026-11-30T15:30:00"),
        ("4:00 pm", "2026-11-29T16:00:00"),
        ("12:10am", "2026-11-30T00:10:00"),
        ("now", "2026-11-29T15:30:00"),
        ("now+1hour", "2026-11-29T16:30:00"),
        ("now + 90 minutes", "2026-11-29T17:00:00"),
        ("now+60", "2026-11-29T15:31:00"),
        ("now-1day", "2026-11-28T15:30:00"),
        ("2027-01-15", "2027-01-15T00:00:00"),
        ("2027-01-15T08:00", "2027-01-15T08:00:00"),
        ("2027-01-15-08:00:05", "2027-01-15T08:00:05"),
        ("01/15/27", "2027-01-15T00:00:00"),
        ("1.15", "2027-01-15T00:00:00"),
        ("12/31-23:59", "2026-12-31T23:59:00"),
        ("0115", "2027-01-15T00:00:00"),
        ("tomorrow", "2026-11-30T00:00:00"),
        ("tomorrow noon", "2026-11-30T12:00:00"),
        ("midnight", "2026-11-30T00:00:00"),
        ("Teatime", "2026-11-29T16:00:00"),
    ],
)
def test_a_text_means_a_moment_in_the_zone_of_the_caller(text: str, expected: str) -> None:
    assert point(text, NOW) == datetime.fromisoformat(f"{expected}+01:00")


def test_seconds_since_the_epoch() -> None:
    assert point("uts1800000000", NOW) == datetime(2027, 1, 15, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "x", "soon", "25:00", "13/45", "now+", "noon x", "2027-02-30", "2/29"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: HH:MM"):
        point(text, NOW)
