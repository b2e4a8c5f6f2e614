"""`python -m tests.cases [FOLDER] [--files] [--run LAB]`: the table of what is accepted as it is.

FOLDER has a folder for each kind (sbatch, batch-v1); without it, cases are made here. --files lists every
file that is refused. --run submits the scripts that are accepted both ways on an installed lab, and counts
which run as under sbatch.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from platformctl import lab as labs
from tests.cases import manifests, running, scripts
from tests.cases.case import Case, table

# By the name of the folder: how its files are counted; None: those made here.
COUNTERS: Mapping[str, Callable[[Path | None], list[Case]]] = {
    scripts.KIND: scripts.counted,
    manifests.KIND: manifests.counted,
}


def counted(folder: Path | None) -> list[Case]:
    """All cases of all kinds that are there."""
    cases: list[Case] = []
    for kind, count in COUNTERS.items():
        if folder is None:
            cases += count(None)
        elif (folder / kind).is_dir():
            cases += count(folder / kind)
    return cases


def main(words: list[str]) -> int:
    """Print the table; 2 if there is nothing to count."""
    lab = words[words.index("--run") + 1] if "--run" in words else ""
    names = [word for word in words if word not in ("--files", "--run", lab)]
    if lab and not labs.find(lab):
        sys.stderr.write(f"there is no lab {lab}: platformctl lab up --name {lab}, then install it\n")
        return 2
    cases = counted(Path(names[0]) if names else None)
    if not cases:
        sys.stderr.write(f"{names[0] if names else 'here'} has none of the folders {', '.join(COUNTERS)}\n")
        return 2
    sys.stdout.write(f"{table(cases, files='--files' in words)}\n")
    if lab:
        sys.stdout.write(f"{running.table(Path(names[0]) if names else None, lab)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
