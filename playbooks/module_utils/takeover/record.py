"""What a host keeps about its state before platformctl: /var/lib/platformctl/before, for root alone.

packages.json: the packages that were there, and those that a takeover removed. services.json: how the units
that we change were. takeover.json: what was judged, accepted, moved aside or is used beside. An entry is
written once and never again, whatever later runs find.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.takeover import host

FOLDER = "/var/lib/platformctl"
BEFORE = f"{FOLDER}/before"
PACKAGES, SERVICES, TAKEOVER = "packages.json", "services.json", "takeover.json"
# What a reset could not bring back; as long as it is there, the rest of the record stays.
LEFT = "left.json"


def site() -> str:
    """The site that the host belongs to; empty for none."""
    return str(host.text(f"{FOLDER}/managed").strip())


def begun(possible: Iterable[str]) -> set[str]:
    """The stages that were ever started here. If the record is damaged, each possible one may have been."""
    try:
        stages = json.loads(host.text(f"{FOLDER}/digests.json") or "{}")
    except ValueError:
        return set(possible)
    return set(stages) if isinstance(stages, dict) else set(possible)


def read(name: str) -> dict[str, Any]:
    """One file of the record; empty if it is not there."""
    try:
        found = json.loads(host.text(f"{BEFORE}/{name}") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def add(name: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the file does not say yet: keys, and members of lists and mappings."""
    merged = read(name)
    for key, value in entries.items():
        known = merged.get(key)
        if known is None:
            merged[key] = value
        elif isinstance(known, list):
            merged[key] = known + [item for item in value if item not in known]
        elif isinstance(known, dict) and name != SERVICES:
            merged[key] = {**value, **known}
    write(name, merged)
    return merged


def write(name: str, content: Mapping[str, Any]) -> None:
    """Write one file of the record; it is whole at any moment."""
    folder = host.at(BEFORE)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (host.at(FOLDER), folder):
        path.chmod(0o700)
    new = folder / f".{name}.new"
    with os.fdopen(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(folder / name)
