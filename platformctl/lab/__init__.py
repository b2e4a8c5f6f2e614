"""Labs: podman hosts that stand in for bare metal. Several labs can run at once, each with its name."""

from platformctl.lab.fleet import DEFAULT_FLEET, fleet
from platformctl.lab.fleet import MOST as MOST_SIMULATED
from platformctl.lab.hosts import Host
from platformctl.lab.lifecycle import DEFAULT_NAME, Lab, Removed, down, find, names, up
from platformctl.lab.observe import Observed, observe

__all__ = [
    "DEFAULT_FLEET",
    "DEFAULT_NAME",
    "MOST_SIMULATED",
    "Host",
    "Lab",
    "Observed",
    "Removed",
    "down",
    "find",
    "fleet",
    "names",
    "observe",
    "up",
]
