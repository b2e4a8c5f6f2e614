"""Checks of Kubernetes: API, nodes, the networks of pods and services, add-ons and the site's charts."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from platformctl.engine import releases
from platformctl.engine.checking.proofs.common import KUBERNETES, address, nodes, service_address
from platformctl.engine.checking.proofs.health_check import GLOBAL, HealthCheck, Outcome, Place, Scene
from platformctl.engine.checking.proofs.script import on_host
from platformctl.engine.fleet import Fleet, Host
from platformctl.vocabulary import API_VERSION, JOB_KIND

CLUSTER = """
echo '{"nodes":'; kubectl get nodes -o json || exit 1
echo ', "deployments":'; kubectl get deployments,daemonsets -A -o json || exit 1
echo ', "services":'; kubectl get apiservices -o json || exit 1
echo ', "version":'; kubectl version -o json || exit 1
echo '}'
"""
"""One question for all that the API knows. `status` shows more of the same answer."""

_AUTHORITY = "/etc/kubernetes/pki/ca.crt"
_NEIGHBOURS = 3
_NETWORK_NAMESPACES = ("kube-flannel",)
_ADDON_NAMESPACES = ("kube-system", "local-path-storage")


def statuses(code: int, output: str) -> Mapping[str, Any] | None:
    """The status of each node, from the answer to CLUSTER; None if the API gave none, which others say."""
    try:
        items = json.loads(output)["nodes"]["items"] if code == 0 else None
        return None if items is None else {item["metadata"]["name"]: item["status"] for item in items}
    except (KeyError, TypeError, ValueError):
        return None


def _api(_fleet: Fleet, host: Host) -> str:
    return on_host("get", f"https://{address(host)}:6443/readyz", _AUTHORITY)


def _etcd(_fleet: Fleet, _host: Host) -> str:
    return """
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl --request-timeout=5s get --raw /readyz/etcd >/dev/null || exit 1
echo "etcd answers the API"
"""


def _etcd_space(_fleet: Fleet, _host: Host) -> str:
    return on_host("etcd_space", "127.0.0.1", "2381")


_KUBELET = """
exec python3 -c '
import sys, urllib.request
try:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    print("the kubelet says", opener.open("http://127.0.0.1:10248/healthz", timeout=2).read().decode())
except OSError as error:
    sys.exit(f"the kubelet does not answer: {error}")
'
"""


def _service(fleet: Fleet, _host: Host) -> str:
    number = service_address(fleet, 1)
    return on_host("service", f"https://{number}:443/readyz", _AUTHORITY) if number else ""


def _names(fleet: Fleet, _host: Host) -> str:
    server = service_address(fleet, 10)
    return on_host("resolve", server, "kubernetes.default.svc.cluster.local") if server else ""


def neighbours(fleet: Fleet, host: Host) -> list[Host]:
    """The next nodes in the circle of the inventory: each pair of a small site, a few of a large one."""
    names = nodes(fleet)
    here = next((index for index, node in enumerate(names) if node.name == host.name), None)
    if here is None:
        return []
    circle = [*names[here + 1 :], *names[:here]]
    return circle[:_NEIGHBOURS]


def _pods(fleet: Fleet, host: Host) -> str:
    peers = [f"{node.name}={address(node)}" for node in neighbours(fleet, host)]
    return on_host("pods", "flannel.1", address(host), *peers)


def _read_pods(scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    """A node that is not in service is not missed."""
    missed, said = [], []
    for line in output.splitlines():
        mark, _, rest = line.partition(" ")
        name, _, words = rest.partition(" ")
        if mark != "!":
            said.append(line.strip())
        elif scene.has(name, *KUBERNETES):
            missed.append(words)
    if missed:
        return {asked: Outcome(False, "; ".join(missed))}
    return {asked: Outcome(code == 0, said[-1] if said else "no answer in time")}


def _document(output: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(output)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


Judge = Callable[[Scene, Mapping[str, Any]], Mapping[str, Outcome]]


def _cluster(name: str, judge: Judge, look: str, patience: int) -> HealthCheck:
    """A check that reads the answer to CLUSTER."""

    def read(scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
        document = _document(output) if code == 0 else None
        if document is None:
            words = " / ".join(output.strip().splitlines()[-2:]) or "no answer in time"
            return {GLOBAL: Outcome(False, f"the API does not answer on {asked}: {words}")}
        return judge(scene, document)

    return HealthCheck(
        name,
        place=Place.KUBERNETES,
        question=CLUSTER,
        read=read,
        seconds=30,
        patience=patience,
        look=look,
        quick=True,
    )


def judge_nodes(scene: Scene, document: Mapping[str, Any]) -> Mapping[str, Outcome]:
    """Whether each node of the site is known, Ready, and has the inventory's address."""
    known = {item["metadata"]["name"]: item for item in document["nodes"]["items"]}
    return {
        host.name: node_outcome(host.name, address(host), known.get(host.name))
        for host in nodes(scene.fleet)
        if scene.has(host.name, *KUBERNETES)
    }


def node_outcome(name: str, wanted: str, node: Mapping[str, Any] | None) -> Outcome:
    """What the API's record of a node says. wanted: the inventory's address of it."""
    if node is None:
        return Outcome(False, f"Kubernetes does not know {name}")
    conditions = {item["type"]: item for item in node["status"].get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        return Outcome(False, f"NotReady: {ready.get('message') or 'no word from its kubelet'}")
    addresses = [
        item["address"] for item in node["status"].get("addresses", ()) if item["type"] == "InternalIP"
    ]
    if addresses and wanted not in addresses:
        return Outcome(False, f"Kubernetes has it at {', '.join(addresses)}, but the inventory at {wanted}")
    return Outcome(True, f"Ready at {wanted}")


def absent(document: Mapping[str, Any]) -> int:
    """How many nodes are not Ready, so that what should run on them is not missed elsewhere."""
    conditions = [
        {one["type"]: one["status"] for one in item["status"].get("conditions", ())}
        for item in document["nodes"]["items"]
    ]
    return sum(known.get("Ready") != "True" for known in conditions)


def workload(item: Mapping[str, Any], away: int = 0) -> Outcome:
    """Whether a Deployment or DaemonSet has the pods that it wants. away: nodes that are not Ready.

    A node that is away may take one pod of each; a Deployment must then still be available.
    """
    status = item["status"]
    available = any(
        one["type"] == "Available" and one["status"] == "True" for one in status.get("conditions", ())
    )
    if item["kind"] == "DaemonSet":
        ready, wanted = status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
        updated = status.get("updatedNumberScheduled", 0)
        enough = ready >= wanted - away
    else:
        ready, wanted = status.get("readyReplicas", 0), item["spec"].get("replicas", 1)
        updated = status.get("updatedReplicas", 0)
        enough = ready >= wanted or bool(away and available)
    words = f"{ready} of {wanted} ready"
    # While a change is rolled out, the pods that are ready may all be old ones.
    current = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    if enough and not (current and updated >= wanted - away):
        return Outcome(False, f"{words}, {updated if current else 0} of {wanted} changed")
    return Outcome(enough, words)


def service_outcome(item: Mapping[str, Any]) -> Outcome:
    """Whether an aggregated API answers."""
    conditions = {one["type"]: one for one in item.get("status", {}).get("conditions", ())}
    available = conditions.get("Available", {})
    fine = available.get("status") == "True"
    return Outcome(fine, "available" if fine else str(available.get("message") or "not available"))


def aggregated(document: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The APIs that a service serves and not the API server: name, namespace of the service, record."""
    found = []
    for item in document.get("services", {}).get("items", ()):
        served = item["spec"].get("service")
        if served:
            found.append((str(item["metadata"]["name"]), str(served["namespace"]), item))
    return found


def _workloads(namespaces: Collection[str]) -> Judge:
    """Whether everything in these namespaces is ready: workloads, and the APIs that they serve."""

    def judge(_scene: Scene, document: Mapping[str, Any]) -> Mapping[str, Outcome]:
        seen, bad, away = 0, [], absent(document)
        for item in document["deployments"]["items"]:
            if item["metadata"]["namespace"] in namespaces:
                seen += 1
                outcome = workload(item, away)
                bad += [] if outcome.fine else [f"{item['metadata']['name']} has {outcome.found}"]
        for name, namespace, item in aggregated(document):
            if namespace in namespaces:
                outcome = service_outcome(item)
                bad += [] if outcome.fine else [f"the API {name} is not available: {outcome.found}"]
        if not seen:
            bad.append(f"nothing is in {' or '.join(namespaces)}")
        return {GLOBAL: Outcome(not bad, "; ".join(bad) or f"{seen} services are ready")}

    return judge


_ADMISSION = f"""
answer=$(kubectl create --dry-run=server -o name -f - 2>&1 <<'JOB'
apiVersion: {API_VERSION}
kind: {JOB_KIND}
metadata: {{name: platformctl-admission, namespace: default}}
spec: {{target: kubernetes, script: "#!/bin/sh"}}
JOB
) || {{ echo "a Job is not admitted: $answer"; exit 1; }}
echo "a Job is admitted"
"""


def _read_global(_scene: Scene, _asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    lines = output.strip().splitlines()
    return {GLOBAL: Outcome(code == 0, lines[-1] if lines else "no answer in time")}


# One kube-proxy and one flannel a node: both bring their tables back when they start.
_RESTART_NETWORK = """
export KUBECONFIG=/etc/kubernetes/kubelet.conf
for selector in k8s-app=kube-proxy app.kubernetes.io/name=flannel; do
  kubectl --request-timeout=10s delete pods --all-namespaces --wait=false --ignore-not-found \\
    --selector "$selector" --field-selector "spec.nodeName=$NODE"
done
"""

API = HealthCheck(
    "API server",
    _api,
    patience=60,
    quick=True,
    look="tail /var/log/pods/kube-system_kube-apiserver-*/*/*.log",
)
ETCD = HealthCheck("etcd", _etcd, patience=60, look="tail /var/log/pods/kube-system_etcd-*/*/*.log")
ETCD_SPACE = HealthCheck(
    "space in etcd",
    _etcd_space,
    patience=5,
    quick=True,
    # Running the stage again gives no space.
    harmful=True,
    look="journalctl -u platformctl-etcd-defragment -n 20",
)
KUBELET = HealthCheck(
    "kubelet", lambda _fleet, _host: _KUBELET, patience=60, quick=True, look="journalctl -u kubelet -n 50"
)
NODES = _cluster("node", judge_nodes, "kubectl describe node", 180)
SERVICE_ADDRESS = HealthCheck(
    "service address",
    _service,
    patience=120,
    quick=True,
    look="kubectl -n kube-system logs -l k8s-app=kube-proxy",
    repair=_RESTART_NETWORK,
)
POD_NETWORK = HealthCheck(
    "pod network",
    _pods,
    read=_read_pods,
    patience=120,
    quick=True,
    look="kubectl -n kube-flannel logs -l app.kubernetes.io/name=flannel; UDP port 8472 between the nodes",
    repair=_RESTART_NETWORK,
    peers=neighbours,
)
NETWORK = _cluster(
    "flannel", _workloads(_NETWORK_NAMESPACES), "kubectl -n kube-flannel get pods -o wide", 180
)
ADDONS = _cluster("add-ons", _workloads(_ADDON_NAMESPACES), "kubectl -n kube-system get pods", 180)
CLUSTER_NAMES = HealthCheck(
    "cluster names",
    _names,
    patience=60,
    groups=KUBERNETES,
    quick=True,
    look="kubectl -n kube-system logs -l k8s-app=kube-dns",
)
PLATFORM = _cluster(
    "platform services", _workloads(releases.NAMESPACES), "kubectl -n platform-system get pods", 180
)
ADMISSION = HealthCheck(
    "admission of Jobs",
    place=Place.KUBERNETES,
    question=_ADMISSION,
    read=_read_global,
    seconds=15,
    look="kubectl get validatingadmissionpolicies",
)
