"""Whether Kubernetes gives away of a node what its class and its shares say, and no more."""

from collections.abc import Mapping
from typing import Any

from platformctl.engine.checking.proofs.common import KUBERNETES, nodes
from platformctl.engine.checking.proofs.health_check import GLOBAL, HealthCheck, Outcome, Place, Scene
from platformctl.engine.checking.proofs.kubernetes import CLUSTER, statuses
from platformctl.jobs.quantity import parse_quantity
from platformctl.site import node_classes

_MIB = 2**20


def _read(scene: Scene, _asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    """That the API does not answer, another check says."""
    known = statuses(code, output)
    if known is None:
        return {}
    hosts = [host for host in nodes(scene.fleet) if scene.has(host.name, *KUBERNETES) and host.name in known]
    found = {
        host.name: outcome(host.variables, known[host.name]) for host in hosts if _has_class(host.variables)
    }
    return found or {GLOBAL: Outcome(True, "no node of Kubernetes keeps something back")}


def _has_class(variables: Mapping[str, Any]) -> bool:
    return node_classes.keeps_back(variables) or bool(node_classes.hugepages(variables))


def outcome(variables: Mapping[str, Any], status: Mapping[str, Any]) -> Outcome:
    """Whether pods may ask for what the inventory leaves them. status: of the node, as the API has it."""
    has = {name: parse_quantity(text) for name, text in (status.get("capacity") or {}).items()}
    gives = {name: parse_quantity(text) for name, text in (status.get("allocatable") or {}).items()}
    wrong, said = [], []
    for name, wanted in _wanted(variables, has).items():
        there = gives.get(name, 0)
        exact = name != "memory"
        amount, unit = (1, "") if name == "cpu" else (_MIB, " MiB")
        words = f"{name} {float(there / amount):.10g}{unit}"
        if there > wanted or (exact and there != wanted):
            wrong.append(f"{words} where {float(wanted / amount):.10g}{unit} are left to pods")
        else:
            said.append(words)
    if wrong:
        return Outcome(False, f"it offers {'; '.join(wrong)}")
    return Outcome(True, f"it offers {', '.join(said)}")


def _wanted(variables: Mapping[str, Any], has: Mapping[str, Any]) -> dict[str, Any]:
    """What pods may ask for. Of memory it is the most: the kubelet keeps some more before it evicts."""
    wanted = {"cpu": has.get("cpu", 0) - len(node_classes.kept_from_pods(variables))}
    taken = node_classes.reserved_mib(variables) + node_classes.hugepages_mib(variables)
    wanted["memory"] = has.get("memory", 0) - taken * _MIB
    for row in node_classes.hugepages(variables):
        name = f"hugepages-{row['size']}"
        wanted[name] = wanted.get(name, 0) + node_classes.SIZES_MIB[row["size"]] * row["count"] * _MIB
    return wanted


NODE_CLASS = HealthCheck(
    "node class",
    place=Place.KUBERNETES,
    question=CLUSTER,
    read=_read,
    seconds=30,
    patience=60,
    look="journalctl -u kubelet -n 50; kubectl describe node",
)
