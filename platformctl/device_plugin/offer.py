"""What a node offers under one resource: its devices, their health, what a container gets. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platformctl.device_plugin.messages import LONGEST_ID

_BETWEEN = "::"


@dataclass(frozen=True)
class Offer:
    """One resource.

    devices: the own files of each device by its id; none for devices without files. common: files that each
    holder gets besides. cdi: the name in CDI of each device that has one, by its id. holders: how many may
    hold one device at the same time. checked: whether a device with a missing or faulty file is unhealthy.
    """

    resource: str
    devices: Mapping[str, tuple[str, ...]]
    common: tuple[str, ...] = ()
    cdi: Mapping[str, str] = field(default_factory=dict)
    holders: int = 1
    checked: bool = True

    def ids(self) -> list[str]:
        """What the kubelet gives away, by id: each device as often as it may be held."""
        if self.holders == 1:
            return list(self.devices)
        return [f"{name}{_BETWEEN}{turn}" for name in self.devices for turn in range(self.holders)]

    def healthy(self, fine: Callable[[str], bool]) -> dict[str, bool]:
        """Whether each id is healthy. fine: whether a path is a device of the host now, and not faulty."""
        healthy = {
            name: not self.checked or all(fine(path) for path in files)
            for name, files in self.devices.items()
        }
        return {one: healthy[_device(one)] for one in self.ids()}

    def files(self, ids: Iterable[str]) -> list[str]:
        """The files that a container with these ids gets, each once. Raises KeyError for an unknown id."""
        own = [path for one in ids for path in self.devices[_device(one)]]
        return list(dict.fromkeys([*own, *self.common])) if own else []

    def cdi_names(self, ids: Iterable[str]) -> list[str]:
        """The devices of CDI that a container with these ids gets, each once."""
        return list(dict.fromkeys(self.cdi[name] for name in map(_device, ids) if name in self.cdi))

    def preferred(self, available: Sequence[str], kept: Sequence[str], size: int) -> list[str]:
        """Which ids to give a container first: different devices, and those that the fewest others hold."""
        chosen = list(kept)
        free: dict[str, list[str]] = {}
        for one in available:
            if one not in chosen:
                free.setdefault(_device(one), []).append(one)
        while len(chosen) < size and any(free.values()):
            held = [_device(one) for one in chosen]
            best = min(
                (name for name, ids in free.items() if ids), key=lambda n: (held.count(n), -len(free[n]))
            )
            chosen.append(free[best].pop(0))
        return chosen


def offers(text: str) -> list[Offer]:
    """The offers of a node by the JSON that the inventory is made into. Raises ValueError."""
    try:
        return [_offer(entry) for entry in json.loads(text)]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a list of devices as platformctl writes it: {error!r}") from error


def _offer(entry: Mapping[str, Any]) -> Offer:
    files = [tuple(map(str, one)) for one in entry["devices"]]
    names = [_name(one, number) for number, one in enumerate(files)]
    return Offer(
        str(entry["resource"]),
        dict(zip(names, files, strict=True)),
        tuple(map(str, entry.get("common") or ())),
        {name: str(cdi) for name, cdi in zip(names, entry.get("cdi") or (), strict=False) if cdi},
        int(entry.get("holders") or 1),
        bool(entry.get("checked", True)),
    )


def _name(files: Sequence[str], number: int) -> str:
    """A device's id: its last file, which slices do not share; or its number, if it has no file."""
    if not files:
        return str(number)
    name = files[-1].removeprefix("/dev/").replace("/", "-")
    # Room for the number of a holder.
    return name if len(name) <= LONGEST_ID - 6 else hashlib.sha256(name.encode()).hexdigest()[:32]


def _device(one: str) -> str:
    return one.partition(_BETWEEN)[0]
