"""Targets with a parameter: one that matches nothing is refused before anything is built or fetched."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import mutation
from tests.conformance import __main__ as conformance
from tests.conformance import exclusions, suite

ROOT = Path(__file__).parents[2]
LIST = """
- {codename: "[sig-network] DNS should provide DNS for services [Conformance]"}
- {codename: "[sig-apps] Job should run a job to completion [Conformance]"}
"""


class Make:
    """The Makefile with a platformctl and a podman that only remember, but for `verify --molecule`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.log.touch()
        self.tool("podman", "exit 125")
        self.tool("platformctl", f'[ "$2" != --molecule ] || exec {ROOT}/.venv/bin/platformctl "$@"')

    def tool(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{text}\n')
        path.chmod(0o755)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        environment["PATH"] = f"{self.folder}:{environment['PATH']}"
        # Setting up is done: it is no part of what is tested.
        command = ["make", "--old-file=setup", f"PLATFORMCTL={self.folder / 'platformctl'}", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("molecule", "SINCE=no-such-revision"), "no-such-revision"),
        (("mutation", "MODULE=platformctl/no_such.py"), "nothing to change in platformctl/no_such.py"),
        (("mutation", "MODULE=docs"), "nothing to change in docs"),
        (("kind", "IMAGE=registry.example/no-such"), "IMAGE=registry.example/no-such cannot be had"),
        (("bench", "RUNS=0"), "0 runs cannot be"),
        (("bench", "RUNS=many"), "many runs cannot be"),
        (("bench", "FAIL=yes"), "FAIL=yes?"),
        (("source", "SOURCE=elsewhere", "LAB=no-such"), "SOURCE=upstream or SOURCE=modules"),
    ],
)
def test_a_parameter_that_matches_nothing_is_refused_at_once(
    make: Make, words: tuple[str, ...], said: str
) -> None:
    done = make(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "artifacts" not in make.log.read_text(), "nothing is fetched before"


@pytest.mark.parametrize(("target", "first"), [("molecule", "--list"), ("conformance", "--count")])
def test_what_is_there_to_do_is_looked_up_before_anything_is_fetched(
    make: Make, target: str, first: str
) -> None:
    parameter = {"molecule": "SINCE=main", "conformance": "FOCUS=[sig-network] DNS"}[target]
    lines = make("--dry-run", target, parameter).stdout.splitlines()
    assert first in lines[0]
    assert parameter.partition("=")[2] in lines[0]
    assert "artifacts fetch" in lines[1]


def test_a_focus_that_no_spec_has_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / exclusions.LIST).parent.mkdir(parents=True)
    (tmp_path / exclusions.LIST).write_text(LIST)
    monkeypatch.setattr(suite, "kubernetes", lambda: tmp_path)
    monkeypatch.setattr(conformance, "_programs", lambda: pytest.fail("it builds"))
    assert conformance.main(["--focus", "sig-nothing"]) == 2
    assert "no conformance spec has 'sig-nothing' in its name" in capsys.readouterr().err
    assert conformance.main(["--focus", "sig-network", "--count"]) == 0
    assert capsys.readouterr().out == "1 conformance specs\n"


def test_what_can_be_mutated_has_functions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "platformctl/only_words"
    package.mkdir(parents=True)
    (package / "table.py").write_text("NAMES = ('a',)\n")
    assert not mutation._mutable("platformctl/only_words")
    (package / "code.py").write_text("def f():\n    return 1\n")
    assert mutation._mutable("platformctl/only_words")
    assert mutation._mutable("platformctl/only_words/code.py")
    assert not mutation._mutable("platformctl/only_words/table.py")
