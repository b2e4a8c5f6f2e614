"""Which devices of the host are faulty, as its service for device health has written it down.

The service (role device_health) judges each device once, for both schedulers. Without its file nothing is
known to be faulty.
"""

import json
from pathlib import Path


def faulty(state: Path) -> frozenset[str]:
    """The device files that are out of service now."""
    try:
        return frozenset(json.loads(state.read_text())["faults"])
    except (OSError, KeyError, TypeError, ValueError):
        return frozenset()
