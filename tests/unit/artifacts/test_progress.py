import json
from pathlib import Path

import pytest

from platformctl.artifacts.progress import Progress
from platformctl.console import Format, Output


def test_plain_lines_count_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Output(), tmp_path / "durations.json")
    progress.expect(["one", "two"])
    for name in ("one", "two"):
        with progress.step(name):
            pass
    assert capsys.readouterr().err.splitlines() == [
        "artifacts: one, 0.0 s (1 of 2)",
        "artifacts: two, 0.0 s (2 of 2)",
    ]


def test_programs_get_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Output(format=Format.JSON), tmp_path / "durations.json")
    progress.expect(["one", "two"])
    with progress.step("one"):
        pass
    event = json.loads(capsys.readouterr().out)
    assert event == {"event": "artifact", "name": "one", "seconds": 0.0, "done": 1, "of": 2}


def test_what_took_long_last_time_says_how_long_it_will_take(tmp_path: Path) -> None:
    history = tmp_path / "durations.json"
    history.write_text(json.dumps({"one": 100.0, "two": 20.0}))
    progress = Progress(Output(), history)
    progress.expect(["one", "two"])
    progress.start("one")
    left = progress.remaining()
    assert left is not None
    assert 119 < left <= 120
    progress.expect(["never timed"])
    assert progress.remaining() is None


def test_a_failed_step_is_not_recorded(tmp_path: Path) -> None:
    progress = Progress(Output(), tmp_path / "durations.json")
    progress.expect(["one"])
    with pytest.raises(RuntimeError), progress.step("one"):
        raise RuntimeError
    progress.save()
    assert json.loads((tmp_path / "durations.json").read_text()) == {}


def test_a_damaged_history_only_makes_estimates_worse(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text("{")
    assert Progress(Output(), tmp_path / "history.json").measured == {}
