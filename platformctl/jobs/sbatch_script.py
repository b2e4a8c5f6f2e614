"""Reads the #SBATCH lines of a script, and command lines, as sbatch 24.11 does (checked against sbatch).

Directives are the lines that begin with `#SBATCH` (or the old `#SLURM`), from the second line to the first
command. They are split into words much as in a shell: quotes, backslashes, and `#` for a comment. An empty
word, such as `''`, ends the line. The words of all lines form one command line, so a value may be in the next
directive. Names may be abbreviated if only one option matches. sbatch reads no directive behind the first
command, so nothing here looks at the text from there on.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from platformctl.jobs.sbatch_options import ALIASES, BY_NAME, BY_SHORT, PLUGIN_OPTIONS, Option, Takes

# The line number of options that were typed, not read from the script.
TYPED = 0

# Lines that some version of Slurm reads as directives, with any content.
DIRECTIVE = re.compile(r"#(SBATCH|SLURM|PBS|BSUB|HETJOB)\b")

_OURS = re.compile(r"#(SBATCH|SLURM)")
_REMARK = re.compile(r"[ \t\v\f\r]*(#|$)")
_FOREIGN = re.compile(r"#(PBS|BSUB)\b")
# Begins the next component of a heterogeneous job as the first word of a line; sbatch skips it elsewhere.
_PART = re.compile(r"(hetjob|packjob)(?!\S)", re.IGNORECASE | re.ASCII)
_PART_BEGINS = re.compile(r"[ \t\v\f\r]*(hetjob|packjob)(?!\S)", re.IGNORECASE | re.ASCII)
_UNKNOWN = (
    "is not an option of sbatch 24.11: correct it, or leave it out (--without {name}); "
    "if a plugin of your site has it, leave it out and write slurm.plugins: {{{name}: VALUE}} in the Job"
)
# Of Unicode's spaces only these separate words, and a backslash escapes only the blank.
_SPACE = (" ", "\t", "\v", "\f", "\r")
_ENDS = ("", *_SPACE[1:])


@dataclass(frozen=True)
class Mistake:
    """A line of the script, counted from 1, and what is wrong with it or what to do instead.

    line: TYPED for the command line.
    """

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True)
class Directive:
    """One option as it was given. value is empty for an option without one."""

    line: int
    option: Option
    value: str


@dataclass(frozen=True)
class Script:
    """The lines of a script without their ends, and what its directives say.

    header: how many lines are before the first command. foreign: lines, counted from 1, of other schedulers'
    directives, which sbatch reads too. directives: of the job, or of the first component of a heterogeneous
    job. components: of the others.
    """

    lines: tuple[str, ...]
    header: int
    directives: tuple[Directive, ...]
    components: tuple[tuple[Directive, ...], ...]
    foreign: tuple[int, ...]
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True)
class CommandLine:
    """Options of a command line, and the words behind them: the script and its arguments.

    components: options of the further components of a heterogeneous job, which stand behind colons.
    """

    options: tuple[Directive, ...] = ()
    components: tuple[tuple[Directive, ...], ...] = ()
    rest: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


@dataclass
class _Words:
    """The words of all directive lines, with the line of each. without: options that are left out."""

    without: Collection[str] = ()
    words: list[tuple[int, str]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def add(self, number: int, text: str) -> None:
        try:
            self.words += [(number, word) for word in split_words(text)]
        except ValueError as error:
            self.mistakes.append(Mistake(number, str(error)))


def read_script(text: str, without: Collection[str] = ()) -> Script:
    """The script's directives, and everything in them that sbatch would refuse.

    without: names of options that sbatch does not know and that are to be left out.
    """
    lines = tuple(text.split("\n"))
    if form := _form(lines):
        return Script(lines, 0, (), (), (), form)
    parts = [_Words(without)]
    foreign = []
    header = _header(lines)
    for index, line in enumerate(lines[:header]):
        if ours := _OURS.match(line):
            if _PART_BEGINS.match(line, ours.end()):
                parts.append(_Words(without))
            parts[-1].add(index + 1, line[ours.end() :])
        elif _FOREIGN.match(line):
            foreign.append(index + 1)
    found = [tuple(_directives(words)) for words in parts]
    mistakes = tuple(mistake for words in parts for mistake in words.mistakes)
    return Script(lines, header, found[0], tuple(found[1:]), tuple(foreign), mistakes)


def read_command_line(typed: Sequence[str], without: Collection[str] = ()) -> CommandLine:
    """The options at the beginning of a command line, up to the first word that is none."""
    parts: list[tuple[Directive, ...]] = []
    mistakes: list[Mistake] = []
    rest = list(typed)
    while not parts or rest[:1] == [":"]:
        words = _Words(without, [(TYPED, word) for word in (rest[1:] if parts else rest)])
        options, left = _parse(words)
        parts.append(tuple(options))
        mistakes += words.mistakes
        rest = [word for _, word in left]
    return CommandLine(parts[0], tuple(parts[1:]), tuple(rest), tuple(mistakes))


def _directives(words: _Words) -> list[Directive]:
    """The options of the words; a word that is none is a mistake."""
    directives, rest = _parse(words)
    words.mistakes += [Mistake(line, f"{word[:80]!r} is not an option of sbatch") for line, word in rest]
    return directives


def option_length(typed: Sequence[str]) -> int:
    """How many words the option at the beginning has; 0 if the first word is none."""
    if not typed or typed[0] == "--" or not typed[0].startswith("-") or len(typed[0]) == 1:
        return 0
    words = _Words(words=[(TYPED, word) for word in typed[:2]])
    _first(words, words.words)
    return len(typed[:2]) - len(words.words)


def first_directive(text: str) -> tuple[int, str] | None:
    """The line, counted from 1, and the name of the first directive that some version of Slurm would read."""
    lines = text.split("\n")
    for index in range(_header(lines)):
        if match := DIRECTIVE.match(lines[index]):
            return index + 1, match[1]
    return None


def _header(lines: Sequence[str]) -> int:
    """How many lines are before the first command."""
    return next((index for index, line in enumerate(lines) if not _REMARK.match(line)), len(lines))


def split_words(text: str) -> list[str]:
    """The words of a directive line. ValueError if sbatch refuses the line or starts another job there."""
    words: list[str] = []
    word, index = _word(text, _start(text, 0))
    while word:
        words.append(word)
        word, index = _word(text, _start(text, index))
    return words


def _start(text: str, index: int) -> int:
    """The position where the next word begins."""
    while text[index : index + 1] in _SPACE:
        index += 1
    if text.startswith(":", index):
        raise ValueError("a word begins with a colon, which sbatch refuses: put it in quotes")
    part = _PART.match(text, index)
    return _start(text, part.end()) if part else index


def _word(text: str, index: int) -> tuple[str, int]:
    """The word at that position, empty at the end of the directive, and the position after it."""
    word = quote = ""
    while index < len(text):
        letter = text[index]
        if letter == "\\":
            index += 1
            letter = text[index : index + 1]
            if not quote and letter in _ENDS:
                break
            word += letter
        elif quote:
            quote, word = ("", word) if letter == quote else (quote, word + letter)
        elif letter in "\"'":
            quote = letter
        elif letter == "#" or letter in _SPACE:
            break
        else:
            word += letter
        index += 1
    if quote:
        raise ValueError(f"a quote ({quote}) is not closed")
    return word, index


def _form(lines: tuple[str, ...]) -> tuple[Mistake, ...]:
    """What sbatch refuses before it reads any directive."""
    if not re.match(r"#!\s*/\S", lines[0]):
        return (Mistake(1, "must be the interpreter, for example #!/bin/bash"),)
    for index, line in enumerate(lines):
        if "\r" in line:
            return (Mistake(index + 1, "ends as on Windows, which sbatch refuses: convert it (dos2unix)"),)
        if "\0" in line:
            return (Mistake(index + 1, "holds a NUL byte: this is not a script"),)
    return ()


def _parse(words: _Words) -> tuple[list[Directive], list[tuple[int, str]]]:
    """The options, and the words from the first one that is not an option."""
    directives: list[Directive] = []
    queue = words.words
    while queue and queue[0][1].startswith("-") and len(queue[0][1]) > 1:
        if queue[0][1] == "--":
            queue.pop(0)
            break
        directives += _first(words, queue)
    return directives, queue


def _first(words: _Words, queue: list[tuple[int, str]]) -> list[Directive]:
    """The option or the options that the first word is."""
    number, word = queue.pop(0)
    if word.startswith("--"):
        return _long(words, queue, number, word[2:])
    return _short(words, queue, number, word[1:])


def _long(words: _Words, queue: list[tuple[int, str]], number: int, word: str) -> list[Directive]:
    """`--name`, `--name=value` or `--name value`."""
    name, equals, value = word.partition("=")
    if name in words.without and name not in BY_NAME and name not in PLUGIN_OPTIONS:
        if not equals and queue and queue[0][0] == number and not queue[0][1].startswith("-"):
            queue.pop(0)
        return []
    option = _option(words, number, name)
    if option is None:
        return []
    if equals and option.takes is Takes.NOTHING:
        words.mistakes.append(Mistake(number, f"--{option.name} takes no value"))
        return []
    if not equals and option.takes is Takes.VALUE:
        if not queue:
            words.mistakes.append(Mistake(number, f"--{option.name} needs a value"))
            return []
        _, value = queue.pop(0)
    return [Directive(number, option, value)]


def _short(words: _Words, queue: list[tuple[int, str]], number: int, letters: str) -> list[Directive]:
    """`-n4`, `-n 4`, or several options without a value and one with: `-OHn4`."""
    directives: list[Directive] = []
    while letters:
        option, letters = BY_SHORT.get(letters[0]), letters[1:] if letters[0] in BY_SHORT else letters
        if option is None:
            words.mistakes.append(Mistake(number, f"-{letters[0]} is not an option of sbatch"))
            return directives
        if option.takes is Takes.NOTHING:
            directives.append(Directive(number, option, ""))
            continue
        value = letters
        if not value and option.takes is Takes.VALUE:
            if not queue:
                words.mistakes.append(Mistake(number, f"-{option.short} needs a value"))
                return directives
            _, value = queue.pop(0)
        return [*directives, Directive(number, option, value)]
    return directives


def _option(words: _Words, number: int, name: str) -> Option | None:
    """The option of that name, or of the one name that begins so."""
    if name in PLUGIN_OPTIONS:
        return PLUGIN_OPTIONS[name]
    if name in BY_NAME:
        return BY_NAME[ALIASES.get(name, name)]
    candidates = sorted({ALIASES.get(full, full) for full in BY_NAME if name and full.startswith(name)})
    if len(candidates) == 1:
        return BY_NAME[candidates[0]]
    said = f"could be any of --{', --'.join(candidates)}" if candidates else _UNKNOWN.format(name=name[:80])
    words.mistakes.append(Mistake(number, f"--{name[:80]} {said}"))
    return None
