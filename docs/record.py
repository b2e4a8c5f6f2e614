"""Draws the output of a command as an SVG of a terminal: `make demo | python docs/record.py demo.svg`.

Passes its input through, so that it can be watched while it is recorded. In the picture the checkout is `.`
and the home folder `~`: where they lie is nobody's business.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

_WIDTH = 110


def main(target: Path) -> None:
    """Copy standard input to standard output, then write the SVG."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        shown = line.rstrip("\n").replace(str(Path.cwd()), ".").replace(str(Path.home()), "~")
        console.print(Text.from_ansi(shown), soft_wrap=True)
    svg = console.export_svg(title="make demo")
    # The picture must not fetch fonts from elsewhere when it is looked at.
    target.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
