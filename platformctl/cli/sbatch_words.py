"""Commands that take sbatch's command line: `[options] SCRIPT [ARGS]`, with some long options of their own.

All short options, and `--output`, are sbatch's here. So these commands take the options of the output only
before their name: `platformctl -o json sbatch ...`.
"""

import resource
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from platformctl import surroundings
from platformctl.cli import cluster
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs.model import Target

if TYPE_CHECKING:
    from platformctl.jobs.sbatch import Imported
    from platformctl.jobs.sbatch_environment import Caller
    from platformctl.jobs.sbatch_script import CommandLine, Mistake

_WORDS = "platformctl.words"
# What the sbatch program makes of --wrap.
_WRAPPED = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{}\n"
# Options that are for this program and not for the job.
_OF_PROGRAM = frozenset(
    {"wrap", "parsable", "quiet", "verbose", "wait", "test-only", "help", "usage", "version"}
)


class SbatchCommand(TyperCommand):
    """A command whose words are sbatch's, but for its own long options.

    own_anywhere: whether its own options count behind the script too, up to `--`. keeps_words: for the root
    command, which gives no options of the output to it.
    """

    own_anywhere = False
    keeps_words = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep all words but the command's own options for its function."""
        own, words = split(args, self.own_options(), self.own_anywhere)
        ctx.meta[_WORDS] = tuple(words)
        return super().parse_args(ctx, own)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Add sbatch's words."""
        return [*super().collect_usage_pieces(ctx), "[SBATCH OPTIONS] SCRIPT [ARGS]"]

    def own_options(self) -> dict[str, bool]:
        """Its own long options, and whether each takes a value."""
        options = [param for param in self.params if param.param_type_name == "option"]
        names = {name: not param.is_flag for param in options for name in param.opts}  # type: ignore[attr-defined]
        return {name: takes for name, takes in names.items() if name.startswith("--")} | {"--help": False}


class SbatchAnywhere(SbatchCommand):
    """The same, with its own options before and behind the script."""

    own_anywhere = True


def split(args: Sequence[str], own: Mapping[str, bool], anywhere: bool) -> tuple[list[str], list[str]]:
    """The command's own words, and sbatch's. own: long options, and whether each takes a value.

    anywhere: whether own options count behind the script too, up to `--`.
    """
    from platformctl.jobs.sbatch_script import option_length

    mine: list[str] = []
    words: list[str] = []
    left, behind = list(args), False
    while left:
        word = left[0]
        name, equals, _ = word.partition("=")
        length = 1
        if word == "--" or (behind and not anywhere):
            return mine, words + left[1 if behind and anywhere else 0 :]
        if name in own:
            length = 2 if own[name] and not equals else 1
            mine += left[:length]
        else:
            length = 1 if behind else option_length(left)
            behind = behind or not length
            length = length or 1
            words += left[:length]
        left = left[length:]
    return mine, words


@dataclass(frozen=True)
class Request:
    """What was typed: sbatch's words, and what the conversion needs besides.

    without: options to leave out. job_names: names of Jobs by their ids on Slurm.
    """

    words: Sequence[str]
    target: Target = Target.SLURM
    without: frozenset[str] = frozenset()
    job_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """A script that was read. file: for messages. named: the names of all options, typed or in the script."""

    file: str
    name: str
    text: str
    args: tuple[str, ...]
    line: "CommandLine"
    named: frozenset[str]
    notes: tuple[str, ...]


def words_of(ctx: Any) -> tuple[str, ...]:
    """sbatch's words of a command."""
    words: tuple[str, ...] = ctx.meta[_WORDS]
    return words


def read(request: Request) -> Read:
    """Take the command line apart, and read the script. Raises PlatformError with all mistakes."""
    from platformctl.jobs.sbatch_script import (
        TYPED,
        CommandLine,
        Directive,
        Mistake,
        read_command_line,
        read_script,
    )

    line = read_command_line(request.words, request.without)
    wrap = next((option for option in reversed(line.options) if option.option.name == "wrap"), None)
    mistakes = list(line.mistakes)
    if wrap and line.rest:
        mistakes.append(Mistake(TYPED, f"--wrap takes no script beside it: {line.rest[0]!r}"))
    if mistakes:
        raise refusal("the command line", mistakes)
    notes: tuple[str, ...] = ()
    if wrap:
        file, text = "wrap", _WRAPPED.format(wrap.value)
    else:
        file = line.rest[0] if line.rest else "-"
        text, notes = _text(file)
    kept = tuple(option for option in line.options if option.option.name not in _OF_PROGRAM)
    in_script: tuple[Directive, ...] = read_script(text, request.without).directives
    named = frozenset(option.option.name for option in (*line.options, *in_script))
    name = "sbatch" if file == "-" else Path(file).name
    return Read(file, name, text, line.rest[1:], CommandLine(kept, line.components), named, notes)


def converted(found: Read, request: Request, caller: "Caller") -> "Imported | list[Mistake]":
    """The Job, or all mistakes."""
    from platformctl.jobs.sbatch import convert

    return convert(
        found.text,
        found.name,
        request.job_names,
        request.without,
        request.target,
        typed=found.line,
        args=found.args,
        caller=caller,
    )


def refusal(file: str, mistakes: "Sequence[Mistake]") -> PlatformError:
    """The error for mistakes in a script or a command line."""
    return PlatformError(
        f"{file} cannot be converted to a Job; to change: {len(mistakes)}",
        details=[f"{file}:{one.line}: {one.message}" if one.line else one.message for one in mistakes],
        next="change it as each line says, or leave out an option: --without OPTION",
        code=ExitCode.INVALID,
    )


def caller(whole: bool) -> "Caller":
    """The shell that this command was typed in. whole: whether the Job takes all its variables along."""
    from platformctl.jobs.sbatch_environment import Caller

    return Caller(
        folder=str(Path.cwd()),
        host=socket.gethostname(),
        now=datetime.now().astimezone(),
        environment=surroundings.given(),
        limits=_limits(),
        umask=f"{surroundings.given_umask():04o}",
        whole=whole,
        read=lambda path: Path(path).read_text(),
    )


def _limits() -> dict[str, str]:
    """The soft limits by Slurm's names, without a limit as Slurm writes it."""
    names = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")
    numbers = {name: getattr(resource, f"RLIMIT_{name}", None) for name in names}
    soft = {name: resource.getrlimit(number)[0] for name, number in numbers.items() if number is not None}
    return {
        name: str(value if value != resource.RLIM_INFINITY else 2**64 - 1) for name, value in soft.items()
    }


def _text(file: str) -> tuple[str, tuple[str, ...]]:
    """The script, and a note if it had to be converted: Jobs are UTF-8, and files may be older."""
    if file == "-":
        return cluster.read_text(file), ()
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise PlatformError(
            f"{file} cannot be read: {error.strerror}", next="name a script", code=ExitCode.INVALID
        ) from error
    try:
        return data.decode(), ()
    except UnicodeDecodeError:
        return data.decode("latin-1"), ("it is not UTF-8: it is read as Latin-1, and runs as UTF-8",)
