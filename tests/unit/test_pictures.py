"""The pictures of the README: the terminal that they are recorded from, and what they show."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from rich.text import Text

from platformctl import paths

DOCS = paths.data_dir() / "docs"
# Redraws its lines as the board of a run does.
LIVE = """
import time
from rich.console import Console
from rich.live import Live
from rich.text import Text
console = Console()
with Live(Text("one\\ntwo"), console=console, refresh_per_second=50) as live:
    console.print("a remark above", style="red")
    time.sleep(0.1)
    live.update(Text("one done\\ntwo\\nthree"))
    time.sleep(0.1)
    live.update(Text("one done\\ntwo done"))
print("x" * 100)
"""


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", DOCS / "record.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_screen_has_what_a_terminal_has_in_the_end(record: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "live.py").write_text(LIVE)
    screen = record.Screen()
    screen.feed(record.run(f"{sys.executable} {tmp_path}/live.py", {}))
    lines = [Text.from_ansi(line) for line in screen.lines]
    assert [line.plain.rstrip() for line in lines] == [
        "a remark above",
        "one done",
        "two done",
        "x" * 80,
        "x" * 20,
    ]
    assert lines[0].spans, "the colour is lost"


def test_a_command_that_fails_is_no_picture(record: ModuleType) -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        record.run("exit 3", {})


def test_places_of_the_machine_are_hidden(record: ModuleType) -> None:
    written = f"journal {Path.home()}/.local of {Path.cwd()}/inventories".encode()
    assert record.shown(written) == b"journal ~/.local of ./inventories"


def test_a_picture_has_few_lines(record: ModuleType) -> None:
    with pytest.raises(SystemExit, match="too many"):
        record.draw("x", ["line"] * 36)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("demo", ["platformctl install", "kubernetes_control_plane", "slurm_node", "verify"]),
        ("job", ["platformctl job submit", "platformctl job explain", "platformctl job logs", "kubernetes"]),
    ],
)
def test_the_readme_shows_a_terminal(name: str, words: list[str]) -> None:
    text = (DOCS / f"{name}.svg").read_text()
    assert f"docs/{name}.svg" in (DOCS.parent / "README.md").read_text()
    assert "url(" not in re.sub(r"url\(#[^)]*\)", "", text), "it fetches something"
    said = "".join(ElementTree.fromstring(text).itertext()).replace("\u00a0", " ")
    assert all(word in said for word in words)
    lines = set(re.findall(r'clip-path="url\(#[^)]*-line-(\d+)\)"', text))
    assert 10 < len(lines) <= 35
    assert re.search(r"\{ fill: #98a84b", text), "nothing on it is green"
    assert not re.search(r"/root|/home/|/work", said), "it tells where somebody's files lie"
