"""Every command that a message, a help text or a page names exists, with its options."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from platformctl import paths
from platformctl.cli.lab import OptionsFirst
from platformctl.cli.main import app
from platformctl.cli.sbatch_words import SbatchCommand, split
from platformctl.jobs.sbatch_script import read_command_line

ROOT = paths.data_dir()
SOURCES = sorted((ROOT / "platformctl").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = typer.main.get_command(app)
# Where a command line ends and a sentence goes on.
_END = re.compile(r"[;,`()|#]|: | > |\$\(|\n|\s(?:and|then|says|goes|with|makes|for|to|is|before)\s|&&")
_PLACEHOLDER = "X"


@dataclass(frozen=True)
class Named:
    """A command line as it is written somewhere. advice: a message tells a person to run it."""

    place: str
    line: str
    advice: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.line}"


def _text(node: ast.expr) -> str:
    """A string with a placeholder for each value in it; empty for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part) if isinstance(part, ast.Constant) else _PLACEHOLDER for part in node.values
        )
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body)}\n{_text(node.orelse)}"
    return ""


def _commands(text: str) -> Iterator[str]:
    """The command lines in a text."""
    known = set(_COMMAND.commands)  # type: ignore[attr-defined]
    for found in re.finditer(r"(?<![\w/.-])platformctl (?=[-a-z])", text):
        line = _END.split(text[found.end() :], maxsplit=1)[0].strip()
        words = line.split()
        if words and (words[0] in known or words[0].startswith("-")):
            yield line


def _in_source(path: Path) -> Iterator[Named]:
    tree = ast.parse(path.read_text())
    advice = {
        id(inner)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "next"
        for inner in ast.walk(keyword.value)
    }
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
            for line in _commands(_text(node)):
                yield Named(f"{path.relative_to(ROOT)}:{node.lineno}", line, id(node) in advice)


def _in_page(path: Path) -> Iterator[Named]:
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        for line in _commands(text):
            yield Named(f"{path.relative_to(ROOT)}:{number}", line, False)


NAMED = [named for path in SOURCES for named in _in_source(path)]
NAMED += [named for path in PAGES for named in _in_page(path)]


def _options(command: Any) -> dict[str, Any]:
    return {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that a line means, and what follows it; options before its name are looked at as well."""
    command: Any = _COMMAND
    rest: list[str] = []
    while words and getattr(command, "commands", None):
        word = words.pop(0)
        if word.startswith("-"):
            rest.append(word)
            if word in _options(command) and not _flag(_options(command)[word]) and words:
                rest.append(words.pop(0))
        elif word in (_PLACEHOLDER, "..."):
            return command, rest
        elif word in command.commands:
            assert not _unknown(command, rest), _unknown(command, rest)
            command, rest = command.commands[word], []
        else:
            raise AssertionError(f"{word} is no command of {command.name}")
    return command, [*rest, *words]


def _flag(option: Any) -> bool:
    return bool(option.is_flag or option.count)


def _unknown(command: Any, words: list[str]) -> list[str]:
    if isinstance(command, SbatchCommand):
        _, of_sbatch = split(words, command.own_options(), command.own_anywhere)
        return [mistake.message.split()[0] for mistake in read_command_line(of_sbatch).mistakes]
    names = (word.partition("=")[0] for word in words if word.startswith("-") and word != "-")
    return [name for name in names if name not in (*_options(command), "--help")]


def mistakes(named: Named) -> list[str]:
    """What is wrong with a command line."""
    try:
        command, words = _command(named.line.split())
    except AssertionError as error:
        return [str(error)]
    # What follows -- is a command of its own.
    words = words[: words.index("--")] if "--" in words else words
    free = [number for number, word in enumerate(words) if not word.startswith("-")]
    if isinstance(command, OptionsFirst) and len(free) > 1 and "--name" not in words:
        words = words[: free[1]]  # the rest is a command of its own
    wrong = [f"{name} is no option of {command.name}" for name in _unknown(command, words)]
    if named.advice:
        given = {str(_options(command)[word].name) for word in words if word in _options(command)}
        needed = {option.name for option in command.params if option.required and option.opts[0][0] == "-"}
        wrong += [f"{command.name} needs {name}" for name in sorted(needed - given)]
    return wrong


def test_there_are_many_and_of_all_kinds() -> None:
    assert len(NAMED) > 100
    assert len([named for named in NAMED if named.advice]) > 30
    assert {named.place.partition("/")[0] for named in NAMED} >= {"platformctl", "docs"}


@pytest.mark.parametrize("named", NAMED, ids=str)
def test_a_command_that_is_named_exists_with_its_options(named: Named) -> None:
    assert mistakes(named) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("nonsense", "nonsense is no command of platformctl"),
        ("job nonsense X", "nonsense is no command of job"),
        ("install -i X --nonsense", "--nonsense is no option of install"),
        ("status", "status needs inventory"),
        ("-o json status -i X", ""),
        ("lab shell X --name X", ""),
        ("job submit --nonsense X -- date --date X", "--nonsense is no option of submit"),
    ],
)
def test_the_check_finds_what_is_wrong(line: str, wrong: str) -> None:
    assert mistakes(Named("here", line, True)) == ([wrong] if wrong else [])
