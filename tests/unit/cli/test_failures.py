import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platformctl.cli import failures
from platformctl.errors import ExitCode, PlatformError


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end, failures.in_words():
        raise error
    return int(end.value.code or 0), capsys.readouterr().err


def test_an_expected_error_ends_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(PlatformError("no", next="yes", code=ExitCode.REFUSED), capsys)
    assert (code, said) == (3, "error: no\n  next:  yes\n")


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"])
def test_a_folder_of_ours_that_cannot_be_written_names_its_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    file = tmp_path / "platformctl" / "x"
    code, said = ended(PermissionError(errno.EACCES, "Permission denied", str(file)), capsys)
    assert code == ExitCode.INVALID
    assert said == (
        f"error: {file} cannot be used: Permission denied\n"
        f"  next:  set {variable} to a folder that you can write\n"
    )


def test_a_home_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    code, said = ended(FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/none"), capsys)
    assert code == ExitCode.INVALID
    assert "set HOME to a folder that you can write, or XDG_CACHE_HOME" in said


def test_a_full_disk_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(OSError(errno.ENOSPC, "No space left on device", "/data/x"), capsys)
    assert code == ExitCode.FAILED
    assert "make room there" in said


def test_a_defect_is_one_line_and_its_traceback_is_kept_privately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["platformctl", "plan"])
    code, said = ended(KeyError("hosts"), capsys)
    assert code == ExitCode.FAILED
    assert said.startswith("error: unexpected error: KeyError: 'hosts'\n")
    assert "Traceback" not in said
    (kept,) = (tmp_path / "platformctl" / "errors").iterdir()
    assert str(kept) in said
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(sys, "argv", ["platformctl", "-vv", "plan"])
    assert "Traceback" in ended(KeyError("hosts"), capsys)[1]


def test_a_defect_is_named_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(failures.tempfile, "mkstemp", refuse)
    assert "it could not be kept" in ended(ValueError("odd"), capsys)[1]


def platformctl(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; from platformctl.cli.start import run; sys.argv[0] = 'platformctl'; run()"
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null"])
def test_commands_that_need_state_say_which_folder_helps(home: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = platformctl("init", str(tmp_path / "site"), env={**kept, "HOME": home})
    assert "Traceback" not in done.stderr
    assert (done.returncode, "to a folder that you can write" in done.stderr) == (2, True)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from platformctl.cli.start import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "docs", "jobs"], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.stderr == ""
