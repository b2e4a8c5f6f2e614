"""Labs: podman hosts that stand in for bare metal, several side by side by name."""

from platformctl.lab.hosts import Host
from platformctl.lab.lifecycle import DEFAULT_NAME, Lab, Removed, down, find, names, up
from platformctl.lab.observe import Observed, observe

__all__ = ["DEFAULT_NAME", "Host", "Lab", "Observed", "Removed", "down", "find", "names", "observe", "up"]
