"""Whether Kubernetes offers the devices that the inventory gives it, and whether their health is watched."""

from collections.abc import Mapping
from typing import Any

from platformctl.engine.checking.proofs.health_check import GLOBAL, HealthCheck, Outcome, Place, Scene
from platformctl.engine.checking.proofs.kubernetes import CLUSTER, statuses
from platformctl.engine.fleet import Fleet, Host
from platformctl.site import devices

_NODE = "kubernetes_node"
_SERVICE = "platformctl-device-health"


def _read(scene: Scene, _asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    """That the API does not answer, another check says."""
    known = statuses(code, output)
    if known is None:
        return {}
    hosts = [scene.fleet.hosts[name] for name in scene.fleet.members(_NODE) if scene.has(name, _NODE)]
    tables = {host.name: devices.allocatable(devices.on_host(host.variables, host.groups)) for host in hosts}
    found = {
        name: outcome(wanted, known[name]) for name, wanted in tables.items() if wanted and name in known
    }
    return found or {GLOBAL: Outcome(True, "no node of Kubernetes has devices")}


def outcome(wanted: Mapping[str, int], status: Mapping[str, Any]) -> Outcome:
    """Whether a node offers as many of each resource as its table has. A faulty device is not offered.

    status: of the node, as the API has it.
    """
    allocatable = status.get("allocatable") or {}
    there = {name: int(allocatable.get(name) or 0) for name in wanted}
    lacking = [f"{there[name]} of {count} {name}" for name, count in wanted.items() if there[name] != count]
    if lacking:
        faults = [
            str(one.get("message"))
            for one in status.get("conditions") or ()
            if one.get("type") == devices.DEVICE_FAULT and one.get("status") == "True"
        ]
        return Outcome(False, "; ".join([f"it offers {', '.join(lacking)}", *faults]))
    return Outcome(True, f"it offers {', '.join(f'{count} {name}' for name, count in wanted.items())}")


DEVICES = HealthCheck(
    "devices",
    place=Place.KUBERNETES,
    question=CLUSTER,
    read=_read,
    seconds=30,
    patience=180,
    of_group=_NODE,
    look="kubectl -n kube-system logs -l app.kubernetes.io/name=device-plugin",
)


def _watching(_fleet: Fleet, host: Host) -> str:
    """That a device is faulty is no mistake of the installation: it is said, and the check passes."""
    if not devices.watched(devices.on_host(host.variables, host.groups)):
        return ""
    return f"""
state=$(systemctl is-active {_SERVICE}) || {{ echo "{_SERVICE} is $state"; exit 1; }}
faults=$({_SERVICE} --show) || {{ echo "out of service: $faults" | tr '\n' ' '; exit 0; }}
echo "no device is faulty"
"""


HEALTH = HealthCheck(
    "device health", _watching, quick=True, patience=30, look=f"journalctl -u {_SERVICE} -n 50"
)


def _reads_cdi(_fleet: Fleet, host: Host) -> str:
    """A site's own file may turn off what the role turns on. containerd says so when it starts a pod."""
    if not devices.by_cdi(devices.on_host(host.variables, host.groups)):
        return ""
    return """
said=$(containerd config dump 2>&1) || { echo "containerd cannot read its configuration"; exit 1; }
case "$said" in
  *"enable_cdi = true"*) echo "containerd reads CDI files" ;;
  *) echo "containerd does not read CDI files, by which pods get devices (enable_cdi)"; exit 1 ;;
esac
"""


CDI = HealthCheck("CDI", _reads_cdi, quick=True, of_group=_NODE, look="containerd config dump | grep cdi")
