"""`platformctl docs`: the pages, their titles, and one page."""

import json

import pytest
from typer.testing import CliRunner

from platformctl import paths
from platformctl.cli.main import app
from platformctl.errors import ExitCode, PlatformError


def test_the_pages_are_listed_with_their_titles() -> None:
    done = CliRunner().invoke(app, ["--output", "json", "docs"])
    pages = {row["page"]: row["title"] for row in json.loads(done.stdout)}
    assert pages["jobs"] == "Jobs"
    assert pages["job-command"] == "platformctl job"
    assert set(pages) == {path.stem for path in (paths.data_dir() / "docs").glob("*.md")}
    assert str(paths.data_dir() / "docs") in done.stderr


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_page_is_printed_as_it_is(output: str) -> None:
    file = paths.data_dir() / "docs/jobs.md"
    done = CliRunner().invoke(app, ["--output", output, "docs", "jobs"])
    if output == "text":
        assert done.stdout == file.read_text()
    else:
        assert json.loads(done.stdout) == {"page": "jobs", "file": str(file), "text": file.read_text()}


def test_a_page_that_is_not_there_is_refused_with_those_that_are() -> None:
    error = CliRunner().invoke(app, ["docs", "cooking"]).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.INVALID
    assert "jobs" in str(error)
