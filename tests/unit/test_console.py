import io

import pytest

from platformctl.console import Output


def printed(output: Output, rows: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    cells = [
        (f"job-{number}", "[green]Running[/]", r"waits for \[gpu]" + " x" * 60) for number in range(rows)
    ]
    output.table("Jobs", ("name", "phase", "why"), cells, folded="why")
    return capsys.readouterr().out.splitlines()


def test_a_long_table_has_the_same_words_as_a_short_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    short, long = printed(Output(), 5, capsys), printed(Output(), 500, capsys)
    assert [line.split() for line in long[:7]] == [line.split() for line in short]
    assert len(long) == 502
    assert long[2].index("Running") == long[501].index("Running")


def test_only_the_folded_column_is_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.console.file, output.console.width = io.StringIO(), 30
    output.table("", ("name", "why"), [("x" * 25, "one two three four five six")], folded="why")
    lines = output.console.file.getvalue().splitlines()
    assert lines[1].startswith("x" * 25 + "  one")
    assert len(lines) == 3
