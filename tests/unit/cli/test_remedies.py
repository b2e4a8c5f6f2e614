"""Remedies can be pasted: they name the inventory wherever the command that failed knows it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

import platformctl
from platformctl.cli.main import app
from platformctl.cli.remedies import SiteCommand
from platformctl.errors import SITE_COMMANDS, PlatformError

SOURCES = Path(platformctl.__file__).parent
# A help text, which knows no inventory.
UNKNOWN = {"cli/lab.py"}
# SITE stands in remedies of what does not know the inventory; `for_site` replaces it.
PLACEHOLDER = re.compile(r"(-i|--inventory)[ =](?!SITE\b)([A-Z]+|mysite)\b")


def commands(group: TyperGroup, *names: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *names, name)
        else:
            assert isinstance(command, TyperCommand)
            yield " ".join((*names, name)), command


def with_inventory() -> dict[str, TyperCommand]:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = {
        name: command
        for name, command in commands(root)
        if any(option.name == "inventory" for option in command.params)
    }
    # `lab up` makes a copy, which `lab status` names.
    del found["lab up"]
    return found


def texts(path: Path) -> Iterator[str]:
    """The texts of a module, with {} for what is filled in, and without its documentation."""
    tree = ast.parse(path.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | said:
            yield node.value


def test_texts_have_no_placeholder_but_the_one_that_is_replaced() -> None:
    found = [
        f"{path.relative_to(SOURCES)}: {text}"
        for path in SOURCES.rglob("*.py")
        if path.relative_to(SOURCES).as_posix() not in UNKNOWN
        for text in texts(path)
        if PLACEHOLDER.search(text)
    ]
    assert found == []


def test_every_command_on_a_site_names_it_in_remedies() -> None:
    found = with_inventory()
    assert sorted(found) == sorted(SITE_COMMANDS)
    assert [name for name, command in found.items() if not isinstance(command, SiteCommand)] == []


@pytest.mark.parametrize(
    ("remedy", "named"),
    [
        ("platformctl artifacts fetch", "platformctl artifacts fetch -i site"),
        ("rm x && platformctl artifacts fetch", "rm x && platformctl artifacts fetch -i site"),
        ("platformctl verify --molecule", "platformctl verify -i site --molecule"),
        ("platformctl reset -i other --yes", "platformctl reset -i other --yes"),
        ("platformctl verify -i SITE --molecule", "platformctl verify -i site --molecule"),
        ("platformctl verify -i SITES", "platformctl verify -i SITES"),
        ("platformctl secrets rotate munge_key -i x", "platformctl secrets rotate munge_key -i x"),
        ("platformctl plan, or platformctl plan -i x", "platformctl plan -i site, or platformctl plan -i x"),
        ("platformctl job list", "platformctl job list"),
        ("platformctl lab status", "platformctl lab status"),
        (
            "see `platformctl status`, then `platformctl plan`",
            "see `platformctl status -i site`, then `platformctl plan -i site`",
        ),
    ],
)
def test_commands_in_a_remedy_get_the_inventory(remedy: str, named: str) -> None:
    error = PlatformError("it failed", next=remedy)
    assert error.for_site(Path("site")).next == named
    assert error.next == remedy
