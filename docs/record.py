"""Records what a person sees on a terminal of 80 columns, as an SVG.

    python docs/record.py demo docs/demo.svg --lab pictures     # boots the lab and installs a site on it
    python docs/record.py job docs/job.svg --lab pictures       # Jobs on that site

Each command runs in a pseudo terminal of its own, and can be watched meanwhile; the picture has the last
screen of each. In it the checkout is `.` and the home folder `~`: where they lie is nobody's business.
"""

import argparse
import fcntl
import html
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 80, 40
MOST_LINES = 35
"""A picture with more is not looked at."""

_SCRIPT = """\
#!/bin/sh
sleep 3
echo "hello from $(hostname), as $(id -un)"
"""
_SPACE = "&#160;"
_LEADING = re.compile(
    r'x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)"(?P<rest>[^>]*)>'
    rf"(?P<spaces>(?:{_SPACE})+)(?P<text>[^<]+)<"
)
_SEQUENCE = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|[\x00-\x1f]|[^\x00-\x1f\x1b]+")


class Screen:
    """As much of a terminal as rich needs: colours, moving up, erasing lines, wrapping."""

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width
        self.rows: list[list[tuple[str, str]]] = [[]]
        self.row = self.column = 0
        self.style = ""

    def feed(self, data: bytes) -> None:
        """Take what a program wrote."""
        for found in _SEQUENCE.finditer(data):
            if found[2]:
                self._control(found[1].decode(), found[2].decode())
            elif found[0] == b"\r":
                self.column = 0
            elif found[0] == b"\n":
                self._down()
            elif found[0][0] >= 0x20:
                for character in found[0].decode(errors="replace"):
                    self._put(character)

    def _control(self, arguments: str, kind: str) -> None:
        if kind == "m":
            self.style = "" if arguments in ("", "0") else f"{self.style}\x1b[{arguments}m"
        elif kind == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif kind == "K":
            self.rows[self.row] = [] if arguments == "2" else self.rows[self.row][: self.column]

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self._down()
            self.column = 0
        row = self.rows[self.row]
        row += [(" ", "")] * (self.column + 1 - len(row))
        row[self.column] = (character, self.style)
        self.column += 1

    @property
    def lines(self) -> list[str]:
        """What is on it, with colours; empty lines at the end are left out."""
        lines = [
            "".join(
                f"{style}{''.join(character for character, _ in cells)}\x1b[0m"
                for style, cells in groupby(row, key=lambda cell: cell[1])
            )
            for row in self.rows
        ]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def run(command: str, environment: Mapping[str, str]) -> bytes:
    """Run a command line in a terminal of its own and give all that it wrote; a failure ends the script."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI")
    surroundings = {name: value for name, value in os.environ.items() if name not in hidden}
    surroundings |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
    process = subprocess.Popen(
        ["sh", "-c", command], stdin=slave, stdout=slave, stderr=slave, env=surroundings
    )
    os.close(slave)
    written = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        written += piece
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    os.close(master)
    if process.wait():
        sys.exit(f"{command} ended with {process.returncode}")
    return written


def shown(written: bytes) -> bytes:
    """The same with the places of this machine hidden."""
    return written.replace(str(Path.cwd()).encode(), b".").replace(str(Path.home()).encode(), b"~")


def draw(title: str, lines: list[str]) -> str:
    """The lines as an SVG."""
    if len(lines) > MOST_LINES:
        sys.exit(f"{len(lines)} lines are too many for a picture: at most {MOST_LINES}")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = _LEADING.sub(_without_leading_spaces, console.export_svg(title=title))
    # The picture must not fetch fonts from elsewhere when it is looked at.
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def _without_leading_spaces(found: re.Match[str]) -> str:
    """A text that begins where its first letter is: some viewers leave out the spaces before it."""
    spaces = len(found["spaces"]) // len(_SPACE)
    letters = len(html.unescape(found["text"]))
    cell = float(found["length"]) / (spaces + letters)
    start, length = float(found["x"]) + spaces * cell, letters * cell
    return f'x="{start:g}" y="{found["y"]}" textLength="{length:g}"{found["rest"]}>{found["text"]}<'


def demo(lab: str) -> tuple[dict[str, str], list[str]]:
    """The commands of `make demo`, and what they need."""
    inventory = Path.home() / ".local/state/platformctl/labs" / lab / "inventory"
    commands = [f"platformctl lab up --name {lab}", "platformctl install", "platformctl verify"]
    return {"PLATFORMCTL_INVENTORY": str(inventory)}, commands


def job(lab: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Jobs of a user on both schedulers, and what they need."""
    inventory = Path.home() / ".local/state/platformctl/labs" / lab / "inventory"
    kubeconfig = folder / "alice.kubeconfig"
    run(f"platformctl kubeconfig -i {inventory} --user alice --file {kubeconfig}", path())
    (folder / "hello.sh").write_text(_SCRIPT)
    commands = ["cat hello.sh"]
    for target in ("slurm", "kubernetes"):
        name = f"on-{target}"
        commands += [
            f"platformctl job submit hello.sh --name {name} --target {target}",
            f"platformctl job explain {name}",
            f"platformctl job logs --follow {name}",
        ]
    return {"KUBECONFIG": str(kubeconfig)}, commands


def path() -> dict[str, str]:
    """The surroundings in which `platformctl` is that of this Python."""
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def main() -> None:
    """Record a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("picture", choices=("demo", "job"))
    parser.add_argument("target", type=Path)
    parser.add_argument("--lab", default="lab", help="the lab's name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment, commands = demo(given.lab) if given.picture == "demo" else job(given.lab, folder)
        lines: list[str] = []
        for command in commands:
            screen = Screen()
            inside = f"cd {folder} && {command}" if given.picture == "job" else command
            screen.feed(shown(run(inside, {**path(), **environment})))
            lines += [f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m", *screen.lines]
    title = "make demo" if given.picture == "demo" else "one job, either scheduler"
    given.target.write_text(draw(title, lines))


if __name__ == "__main__":
    main()
