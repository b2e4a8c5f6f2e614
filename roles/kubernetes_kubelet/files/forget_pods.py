"""Removes the kubelet's notes on CPUs and memory of pods, if it has given these away otherwise so far.

usage: forget_pods FIELD...    The new settings come by standard input, as they will be in the kubelet's file.

The kubelet does not start with the notes of another policy or of other huge pages, and with those of other
reserved CPUs it would go on to give away what is kept back now. It is stopped, and starts again with its new
settings. Prints `forgot` if it did so.
"""

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterable

NOTES = [pathlib.Path("/var/lib/kubelet", name) for name in ("cpu_manager_state", "memory_manager_state")]
PAGES = "/sys/devices/system/node/node{}/hugepages/hugepages-{}kB/nr_hugepages"
KIB = {"hugepages-2Mi": 2048, "hugepages-1Gi": 1048576}
SETTINGS = pathlib.Path("/etc/kubernetes/kubelet.conf.d/50-platformctl.conf")


def main(fields: "list[str]", wanted: str) -> int:
    """Compare the settings, and forget if they differ."""
    notes = [path for path in NOTES if path.exists()]
    if not notes or not SETTINGS.exists():
        return 0
    if _values(SETTINGS.read_text(), fields) == _values(wanted, fields) and not _other_pages():
        return 0
    subprocess.run(["systemctl", "stop", "kubelet.service"], check=True)
    for path in notes:
        path.unlink()
    print("forgot")  # noqa: T201
    return 0


def _other_pages() -> bool:
    """Whether the kernel keeps another number of huge pages than the memory manager has noted."""
    try:
        nodes = json.loads(NOTES[1].read_text()).get("machineState") or {}
    except (OSError, ValueError):
        return False
    for node, state in nodes.items():
        for name, size in KIB.items():
            path = pathlib.Path(PAGES.format(node, size))
            noted = state.get("memoryMap", {}).get(name, {}).get("total", 0)
            if path.exists() and noted != int(path.read_text()) * size * 1024:
                return True
    return False


def _values(text: str, fields: "Iterable[str]") -> "dict[str, list[str]]":
    """The lines of some fields of the file. It is always written alike, and the host may have no YAML."""
    found: dict[str, list[str]] = {}
    field = ""
    for line in text.splitlines():
        if line[:1] not in ("", " ", "-", "#"):
            field = line.partition(":")[0]
        if field in fields and line.strip():
            found.setdefault(field, []).append(line.replace("'", "").replace('"', ""))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.read()))
