"""A stand-in for both schedulers: answers the engine's scripts, and remembers what was done."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply

BUDGET = (
    'error when evicting pods/"{pod}" -n "team" (will retry after 5s): Cannot evict pod as it would violate'
    " the pod's disruption budget."
)


@dataclass
class Clusters:
    """nodes: Ready by Kubernetes' nodes. slurm: state by Slurm's nodes. pods, jobs: what runs, by node.

    kept: pods that are never evicted. volumes: claims by node.
    """

    nodes: dict[str, bool] = field(default_factory=dict)
    slurm: dict[str, str] = field(default_factory=dict)
    pods: dict[str, list[str]] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    volumes: dict[str, str] = field(default_factory=dict)
    control_plane: str = ""
    done: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        for words, answer in _ANSWERS.items():
            if words in script:
                return answer(self, script)  # type: ignore[no-any-return]
        raise AssertionError(script)

    def list_nodes(self, _: str) -> Reply:
        lines = [
            f"{name}\t{ready}\t192.0.2.99\t"
            + ("node-role.kubernetes.io/control-plane" * (name == self.control_plane))
            for name, ready in self.nodes.items()
        ]
        return Reply(0, "".join(f"{line}\n" for line in lines), "")

    def list_pods(self, script: str) -> Reply:
        items = [pod_document(name) for name in self.pods.get(_node(script), [])]
        items.append(pod_document("net", "DaemonSet"))
        return Reply(0, json.dumps({"items": items}), "")

    def list_volumes(self, _: str) -> Reply:
        return Reply(
            0, json.dumps({"items": [volume(node, claim) for node, claim in self.volumes.items()]}), ""
        )

    def drain(self, script: str) -> Reply:
        node = script.split(" drain ")[1].split()[0]
        past = "--disable-eviction" in script
        self.done.append(f"drain {node}" + (" past budgets" if past else ""))
        left = [pod for pod in self.pods.get(node, []) if pod in self.kept and not past]
        self.pods[node] = left
        return Reply(1, "", "\n".join(BUDGET.format(pod=pod) for pod in left)) if left else Reply(0, "", "")

    def delete(self, script: str) -> Reply:
        node = script.split("delete node --ignore-not-found ")[1].split()[0]
        self.done.append(("force " if "--force" in script else "") + f"delete {node}")
        self.nodes.pop(node, None)
        return Reply(0, "", "")

    def forget(self, script: str) -> Reply:
        name = re.search(r" platformctl-node-(\S+)", script)
        assert name
        assert f"python3 - {name[1]} <<" in script
        self.forgotten.append(name[1])
        return Reply(0, "", "")

    def list_slurm(self, _: str) -> Reply:
        return Reply(0, "".join(f"{name}|{state}|192.0.2.98\n" for name, state in self.slurm.items()), "")

    def list_jobs(self, script: str) -> Reply:
        name = re.search(r"--nodelist=(\S+)", script)
        assert name
        nodes = name[1].split(",")
        if "scontrol show hostnames" in script:
            return Reply(0, "".join(f"{node}\n" for node in nodes for _ in self.jobs.get(node, [])), "")
        return Reply(0, "".join(f"{job}\n" for job in self.jobs.get(nodes[0], [])), "")

    def update(self, script: str) -> Reply:
        self.done.append(script)
        return Reply(0, "", "")

    def cancel(self, script: str) -> Reply:
        self.done.append(script)
        self.jobs.clear()
        return Reply(0, "", "")


_ANSWERS: dict[str, Any] = {
    # What was there before the installation: nothing.
    "takeover.json": lambda *_: Reply(0, "", ""),
    "get nodes": Clusters.list_nodes,
    "get pods": Clusters.list_pods,
    "get persistentvolumes": Clusters.list_volumes,
    " drain ": Clusters.drain,
    "delete node": Clusters.delete,
    "delete configmap": Clusters.forget,
    "sinfo": Clusters.list_slurm,
    "squeue": Clusters.list_jobs,
    "scontrol update": Clusters.update,
    "scancel": Clusters.cancel,
}


def pod_document(name: str, owner: str = "ReplicaSet", phase: str = "Running") -> dict[str, Any]:
    """A pod as the API server shows it."""
    metadata = {"namespace": "team", "name": name, "ownerReferences": [{"kind": owner}]}
    return {"metadata": metadata, "status": {"phase": phase}}


def volume(node: str, claim: str) -> dict[str, Any]:
    """A volume that lies on one node."""
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
    affinity = {"required": {"nodeSelectorTerms": terms}}
    return {"spec": {"nodeAffinity": affinity, "claimRef": {"namespace": "team", "name": claim}}}


def _node(script: str) -> str:
    found = re.search(r"spec.nodeName=(\S+)", script)
    assert found
    return found[1]
