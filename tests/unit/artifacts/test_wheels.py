import sys
from pathlib import Path

import pytest

from platformctl.artifacts import wheels
from platformctl.errors import PlatformError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """uv's place taken by a script that writes what uv would; the commands that ran."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        commands.append(command)
        scripts = Path(command[command.index("--target") + 1]) / "bin"
        scripts.mkdir(parents=True)
        (scripts / "kopf").write_text("#!/home/someone/python\nimport kopf\n")
        return ""

    monkeypatch.setattr(wheels, "run", run)
    monkeypatch.setattr(wheels, "compile_python", lambda *_: None)
    monkeypatch.setattr(wheels, "_uv", lambda: "uv")
    wheels.install("job-router", tmp_path, "usr/bin/python3.13", tmp_path / "wheels")
    return commands


def test_scripts_run_by_the_interpreter_of_the_image(installed: list[list[str]], tmp_path: Path) -> None:
    script = tmp_path / "wheels" / "usr/local/bin/kopf"
    assert script.read_text() == "#!/usr/bin/python3.13\nimport kopf\n"
    assert script.stat().st_mode & 0o111
    assert not (tmp_path / "wheels" / wheels.SITE / "bin").exists()


def test_wheels_are_installed_by_hash_and_nothing_is_compiled(installed: list[list[str]]) -> None:
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(installed[0])


def test_the_version_of_a_package_comes_from_the_lock() -> None:
    assert wheels.locked_version("dask", "dask") == wheels.locked_version("dask", "distributed")
    with pytest.raises(PlatformError, match="not in the lock"):
        wheels.locked_version("dask", "nothing")


def test_uv_was_installed_with_platformctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert wheels._uv() == str(Path(sys.executable).with_name("uv"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(PlatformError) as refused:
        wheels._uv()
    assert refused.value.next == "/nowhere/python3 -m pip install uv"
