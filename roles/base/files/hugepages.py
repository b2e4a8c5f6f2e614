#!/usr/bin/python3
"""Makes the kernel keep the huge pages of /etc/platformctl/hugepages.json: at the start, and at a change.

usage: platformctl-hugepages [--give-back]    Prints what it changed. It keeps all rows, or changes nothing.

Early after the start of a host its memory is still in one piece; later the kernel may find too few pages.
Nothing here starts the host again.
"""

import json
import pathlib
import subprocess
import sys

WANTED = pathlib.Path("/etc/platformctl/hugepages.json")
OURS = pathlib.Path("/var/lib/platformctl/hugepages.json")
SYS = pathlib.Path("/sys")
COMPACT = pathlib.Path("/proc/sys/vm/compact_memory")
KIB = {"2Mi": 2048, "1Gi": 1048576}


class ShortError(Exception):
    """The kernel does not keep as many pages as were asked for; the message says why and what to do."""


def main(words: "list[str]") -> int:
    """Set the numbers of pages; print what changed, or why nothing did."""
    rows = [] if words else json.loads(WANTED.read_text())
    wanted = {str(_file(row)): int(row["count"]) for row in rows}
    known = json.loads(OURS.read_text()) if OURS.exists() else []
    before: dict[str, int] = {}
    try:
        # What is given back first, the others may get.
        for path in sorted({*known, *wanted}, key=lambda path: wanted.get(path, 0)):
            _keep(pathlib.Path(path), wanted.get(path, 0), before)
    except ShortError as error:
        for path, count in before.items():
            pathlib.Path(path).write_text(str(count))
        sys.exit(str(error))
    OURS.parent.mkdir(parents=True, exist_ok=True)
    OURS.write_text(json.dumps(sorted(wanted)))
    return 0


def _file(row: "dict[str, object]") -> pathlib.Path:
    size = f"hugepages-{KIB[str(row['size'])]}kB"
    node = row.get("numa_node")
    if node is None:
        return SYS / "kernel/mm/hugepages" / size / "nr_hugepages"
    return SYS / f"devices/system/node/node{node}/hugepages" / size / "nr_hugepages"


def _keep(path: pathlib.Path, count: int, before: "dict[str, int]") -> None:
    if not path.exists():
        if count:
            raise ShortError(
                f"the kernel has no {path}: this host has no pages of that size, or no such NUMA node"
            )
        return
    had = int(path.read_text())
    if had == count:
        return
    _refuse_in_container(path)
    before[str(path)] = had
    _write(path, count)
    if int(path.read_text()) < count and COMPACT.exists():
        COMPACT.write_text("1")
        _write(path, count)
    got = int(path.read_text())
    if got < count:
        raise ShortError(
            f"of {count} huge pages in {path.parent} the kernel finds memory for {got}. To do: start the host"
            " again when nobody needs it, and `platformctl install` soon after; or write a smaller count"
        )
    print(f"{path.parent.name}: {count} pages, {had} before")  # noqa: T201


def _write(path: pathlib.Path, count: int) -> None:
    path.write_text(str(count))


def _refuse_in_container(path: pathlib.Path) -> None:
    """A container shares the huge pages of its machine, which are not its own to change."""
    contained = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], check=False).returncode == 0
    if contained and path.stat().st_dev == SYS.stat().st_dev:
        raise ShortError(
            "this host is a container, and its huge pages are those of the machine that it runs on"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
