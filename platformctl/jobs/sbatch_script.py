"""Reads the #SBATCH lines of a script as sbatch 24.11 does (checked against the real sbatch).

Directives are the lines that begin with `#SBATCH` (or the old `#SLURM`), from the second line to the first
command. They are split into words much as in a shell: quotes, backslashes, and `#` for a comment. An empty
word, such as `''`, ends the line. The words of all lines form one command line, so a value may be in the next
directive. Names may be abbreviated if only one option matches.
"""

import re
from dataclasses import dataclass

from platformctl.jobs.sbatch_options import ALIASES, BY_NAME, BY_SHORT, Option, Takes

# Lines that some version of Slurm reads as directives, with any content.
DIRECTIVE = re.compile(r"^#(SBATCH|SLURM|PBS|BSUB|HETJOB)\b", re.MULTILINE)

_OURS = re.compile(r"#(SBATCH|SLURM)")
_REMARK = re.compile(r"[ \t\v\f\r]*(#|$)")
_FOREIGN = re.compile(r"#(PBS|BSUB)\b")
_PARTS = re.compile(r"(hetjob|packjob)(?!\S)", re.IGNORECASE | re.ASCII)
_PARTS_REFUSED = "a job of several parts (hetjob) is not supported: submit a Job for each part"
# Of Unicode's spaces only these separate words, and a backslash escapes only the blank.
_SPACE = (" ", "\t", "\v", "\f", "\r")
_ENDS = ("", *_SPACE[1:])


@dataclass(frozen=True)
class Mistake:
    """A line of the script, counted from 1, and what is wrong with it or what to do instead."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass(frozen=True)
class Directive:
    """One option as it was given. value is empty for an option without one."""

    line: int
    option: Option
    value: str


@dataclass(frozen=True)
class Script:
    """The lines of a script without their ends, and what its directives say.

    foreign: lines, counted from 1, of other schedulers' directives, which sbatch reads too.
    """

    lines: tuple[str, ...]
    directives: tuple[Directive, ...]
    foreign: tuple[int, ...]
    mistakes: tuple[Mistake, ...]


class _Words:
    """The words of all directive lines, with the line of each."""

    def __init__(self) -> None:
        self.words: list[tuple[int, str]] = []
        self.mistakes: list[Mistake] = []

    def add(self, number: int, text: str) -> None:
        try:
            self.words += [(number, word) for word in split_words(text)]
        except ValueError as error:
            self.mistakes.append(Mistake(number, str(error)))


def read_script(text: str) -> Script:
    """The script's directives, and everything in them that sbatch would refuse."""
    lines = tuple(text.split("\n"))
    if form := _form(lines):
        return Script(lines, (), (), form)
    words = _Words()
    foreign = []
    body = len(lines)
    for index, line in enumerate(lines):
        if ours := _OURS.match(line):
            words.add(index + 1, line[ours.end() :])
        elif _FOREIGN.match(line):
            foreign.append(index + 1)
        elif not _REMARK.match(line):
            body = index
            break
    directives = _parse(words)
    return Script(lines, tuple(directives), tuple(foreign), (*words.mistakes, *_beyond(lines, body)))


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
    if _PARTS.match(text, index):
        raise ValueError(_PARTS_REFUSED)
    return index


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


def _beyond(lines: tuple[str, ...], body: int) -> list[Mistake]:
    """Lines after the first command that look like directives and may be part of a here-document.

    sbatch reads such lines as comments. The import turns them into another form of comment, which would
    change the text of a here-document. So if one may be in a here-document, the user has to decide.
    """
    text = "\n".join(lines[:body])
    mistakes = []
    for index in range(body, len(lines)):
        if DIRECTIVE.match(lines[index]) and "<<" in text:
            mistakes.append(
                Mistake(
                    index + 1,
                    "may be text of a here-document, which a Job must not change: write it with printf, "
                    "or delete the line if it is a comment",
                )
            )
        text += "\n" + lines[index]
    return mistakes


def _parse(words: _Words) -> list[Directive]:
    directives = []
    queue = list(words.words)
    while queue:
        number, word = queue.pop(0)
        if word == "--":
            words.mistakes += [
                Mistake(line, f"{extra[:80]!r} is not an option of sbatch") for line, extra in queue
            ]
            break
        if word.startswith("--"):
            directives += _long(words, queue, number, word[2:])
        elif word.startswith("-") and len(word) > 1:
            directives += _short(words, queue, number, word[1:])
        else:
            words.mistakes.append(Mistake(number, f"{word[:80]!r} is not an option of sbatch"))
    return directives


def _long(words: _Words, queue: list[tuple[int, str]], number: int, word: str) -> list[Directive]:
    """`--name`, `--name=value` or `--name value`."""
    name, equals, value = word.partition("=")
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
    if name in BY_NAME:
        return BY_NAME[ALIASES.get(name, name)]
    candidates = sorted({ALIASES.get(full, full) for full in BY_NAME if name and full.startswith(name)})
    if len(candidates) == 1:
        return BY_NAME[candidates[0]]
    said = (
        f"could be any of --{', --'.join(candidates)}" if candidates else "is not an option of sbatch 24.11"
    )
    words.mistakes.append(Mistake(number, f"--{name[:80]} {said}"))
    return None
