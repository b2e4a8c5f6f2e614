"""CONTRIBUTING.md: its paths exist, its map is whole, and its words are few."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
LISTS = ("a back end", "a role", "a variable", "a situation of dirty hosts", "a chart", "an artefact")
MAX_WORDS = 20


def part(title: str) -> str:
    """A section of the page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def paths(text: str) -> list[str]:
    """Paths in backticks from the top of the checkout; NAME stands for what is added."""
    words = re.findall(r"`([\w./-]+)`", text)
    tops = {path.name for path in ROOT.iterdir()}
    return [word for word in words if "/" in word and word.partition("/")[0] in tops]


@pytest.mark.parametrize("path", sorted(set(paths(PAGE))))
def test_a_path_exists(path: str) -> None:
    pattern = path.rstrip("/").replace("NAME", "*")
    assert list(ROOT.glob(pattern)), f"there is no {path}"


@pytest.mark.parametrize("what", LISTS)
def test_each_list_names_places(what: str) -> None:
    text = part(f"To add {what}")
    assert re.match(r"\s*1\. ", text)
    assert paths(text)


def test_the_map_names_every_package() -> None:
    packages = {
        f"{path.parent.relative_to(ROOT)}/"
        for path in (ROOT / "platformctl").glob("**/__init__.py")
        if path.parent.name not in ("platformctl", "rules")
    }
    assert packages - set(paths(part("The map"))) == set()


def test_there_are_few_words() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", part("Words"), re.MULTILINE)[2:]
    assert 10 < len(rows) <= MAX_WORDS
