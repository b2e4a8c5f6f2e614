"""The options of the output are taken before every command and after it."""

import dataclasses
from collections.abc import Iterator
from enum import EnumType
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.cli.main import root as root_callback
from platformctl.cli.output_options import RootGroup
from platformctl.console import Format, Output

CHOSEN = ("-o", "json", "-v", "--no-color")


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name)


EVERY = sorted(leaves(typer.main.get_command(app)))


def at(group: Any, path: tuple[str, ...]) -> Any:
    """The command of these words."""
    for word in path:
        group = group.commands[word]
    return group


def keeps_words(path: tuple[str, ...]) -> bool:
    """Whether -o and -v are another program's there."""
    return bool(getattr(at(typer.main.get_command(app), path), "keeps_words", False))


COMMANDS = [path for path in EVERY if not keeps_words(path)]


def required(command: Any) -> list[str]:
    """Words for what a command cannot do without."""
    words = []
    for param in command.params:
        if param.required:
            kind = param.type_descriptor.annotation
            choices = list(kind) if isinstance(kind, EnumType) else []
            value = str(choices[0] if choices else getattr(param, "min", None) or 1)
            words += [value] if param.param_type_name == "argument" else [param.opts[0], value]
    return words


def chosen(path: tuple[str, ...], *words: str, before: tuple[str, ...] = ()) -> Output:
    """The Output that a command gets."""
    tree = typer.main.get_command(app)
    command, seen = at(tree, path), []
    command.invoke = lambda context: seen.append(context.obj)
    tree.main([*before, *path, *words, *required(command)], standalone_mode=False)
    (output,) = seen
    assert isinstance(output, Output)
    return output


def choice(output: Output) -> tuple[Format, bool, int]:
    return output.format, output.color, output.verbose


def test_the_walk_finds_the_commands() -> None:
    assert {("install",), ("job", "list"), ("lab", "up"), ("artifacts", "fetch")} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_takes_them_on_both_sides(path: tuple[str, ...]) -> None:
    assert choice(chosen(path)) == (Format.TEXT, True, 0)
    assert choice(chosen(path, before=CHOSEN)) == (Format.JSON, False, 1)
    assert choice(chosen(path, *CHOSEN)) == (Format.JSON, False, 1)
    assert choice(chosen(path, "-v", before=CHOSEN)) == (Format.JSON, False, 2)
    assert choice(chosen(path, "--output", "text", before=CHOSEN)) == (Format.TEXT, False, 1)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_shows_them(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).stdout
    for name in ("--output", "-o", "--no-color", "--verbose", "-v"):
        assert name in shown.replace(",", " ").split(), shown


@pytest.mark.parametrize("path", [path for path in EVERY if keeps_words(path)], ids=" ".join)
def test_commands_with_the_words_of_sbatch_take_them_before_only(path: tuple[str, ...]) -> None:
    assert choice(chosen(path, before=CHOSEN)) == (Format.JSON, False, 1)
    assert choice(chosen(path, "-o", "json", "-v")) == (Format.TEXT, True, 0)


def test_a_group_takes_them_too() -> None:
    tree = typer.main.get_command(app)
    command, seen = at(tree, ("job", "list")), []
    command.invoke = lambda context: seen.append(context.obj)
    tree.main(["job", *CHOSEN, "list"], standalone_mode=False)
    assert choice(seen[0]) == (Format.JSON, False, 1)


def test_what_is_no_format_is_refused_after_a_command() -> None:
    done = CliRunner().invoke(app, ["schema", "-o", "xml"])
    assert done.exit_code == 2
    assert "xml" in done.stderr


def test_the_options_of_a_command_come_first_and_nothing_is_taken_after_two_dashes() -> None:
    own = typer.Typer(cls=RootGroup)
    own.callback()(root_callback)

    @own.command()
    def other(ctx: typer.Context, folder: Annotated[str, typer.Option("-o", "--folder")] = "") -> None:
        typer.echo(f"{folder} {ctx.obj.format} {ctx.obj.verbose}")

    @own.command()
    def words(ctx: typer.Context, some: list[str]) -> None:
        typer.echo(f"{some} {ctx.obj.format}")

    run = CliRunner().invoke
    assert run(own, ["other", "-o", "here", "-v"]).stdout == "here text 1\n"
    assert run(own, ["other", "--output", "json"]).stdout == " json 0\n"
    assert run(own, ["words", "a", "--", "-o", "json"]).stdout == "['a', '-o', 'json'] text\n"


def test_an_output_is_changed_whole() -> None:
    given = {field.name for field in dataclasses.fields(Output) if field.init}
    assert given == {"format", "color", "verbose"}
