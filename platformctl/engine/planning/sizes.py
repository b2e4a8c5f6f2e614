"""The sizes of hosts that a stage's result contains, where the inventory does not give them.

Every host says its size whenever its record is read, so a kernel update or another memory module is noticed.
A difference too small to matter is no reason to run a stage: nodes are given a bit less than they have.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.stages import Sized, Stage

# With shell built-ins alone: a thousand hosts on one machine are asked this before every run.
ASK = (
    "read -r cpus < /sys/devices/system/cpu/online;"
    ' while read -r key memory _; do [ "$key" != MemTotal: ] || break; done < /proc/meminfo;'
    ' echo "platformctl-size $cpus $memory"'
)
_ANSWER = re.compile(r"^platformctl-size ([0-9,-]+) (\d+)\n", re.MULTILINE)
_WORDS = re.compile(r"(\d+) CPUs?, (\d+) MiB")
_DEFAULT_MARGIN_PERCENT = 2.0
_SMALLEST_DIFFERENCE_MIB = 128


@dataclass(frozen=True)
class Size:
    """What a host has. cpus: logical ones that are online."""

    cpus: int
    memory_mib: int

    def __str__(self) -> str:
        return f"{self.cpus} {'CPU' if self.cpus == 1 else 'CPUs'}, {self.memory_mib} MiB"


def split(answer: str) -> tuple[Size | None, str]:
    """The size in what a host answered to ASK, and the rest of the answer."""
    match = _ANSWER.search(answer)
    if match is None:
        return None, answer
    size = Size(_count(match[1]), int(match[2]) // 1024)
    return size, answer[: match.start()] + answer[match.end() :]


def _count(ranges: str) -> int:
    """How many numbers are in a list such as 0-3,8."""
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(pair[-1]) - int(pair[0]) + 1 for pair in ends)


def of_words(text: str) -> Size | None:
    """The size that was written as text."""
    match = _WORDS.fullmatch(text)
    return Size(int(match[1]), int(match[2])) if match else None


def applied(
    stage: Stage, fleet: Fleet, present: Mapping[str, Size], recorded: Mapping[str, str]
) -> dict[str, Size]:
    """The sizes with which the stage runs now, by host: as the hosts say, or as recorded if they are down.

    recorded: parts of the stage's digest.
    """
    found = {}
    for host in _measured(stage, fleet):
        size = present.get(host.name) or of_words(recorded.get(f"size:{host.name}", ""))
        if size:
            found[host.name] = size
    return found


def expected(
    stage: Stage, fleet: Fleet, present: Mapping[str, Size], recorded: Mapping[str, str]
) -> dict[str, Size]:
    """The sizes to compare with the recorded ones: those that differ too little are the recorded ones."""
    sizes = applied(stage, fleet, present, recorded)
    for name, size in sizes.items():
        old = of_words(recorded.get(f"size:{name}", ""))
        if old and stage.sized and _near(old, size, fleet.hosts[name], stage.sized):
            sizes[name] = old
    return sizes


def parts(sizes: Mapping[str, Size]) -> dict[str, str]:
    """Parts of a digest. They are readable, so that a plan can say what a host had."""
    return {f"size:{name}": str(size) for name, size in sizes.items()}


def passed(stage: Stage, sizes: Mapping[str, Size]) -> dict[str, Any]:
    """The variable by which the stage's playbook gets the sizes; empty if it needs none."""
    if not stage.sized or not sizes:
        return {}
    listed = {name: {"cpus": size.cpus, "memory_mib": size.memory_mib} for name, size in sizes.items()}
    return {stage.sized.passed: listed}


def _measured(stage: Stage, fleet: Fleet) -> list[Host]:
    """The hosts whose size the inventory does not give completely."""
    if stage.sized is None:
        return []
    hosts = [fleet.hosts[name] for name in fleet.members(stage.sized.group)]
    return [host for host in hosts if any(name not in host.variables for name in stage.sized.given)]


def _near(old: Size, new: Size, host: Host, sized: Sized) -> bool:
    """Whether the memory differs by less than half of the margin."""
    percent = host.variables.get(sized.margin, _DEFAULT_MARGIN_PERCENT)
    if not isinstance(percent, int | float):
        percent = _DEFAULT_MARGIN_PERCENT
    allowed = max(_SMALLEST_DIFFERENCE_MIB, old.memory_mib * percent / 200) if percent else 0
    return old.cpus == new.cpus and abs(old.memory_mib - new.memory_mib) <= allowed
