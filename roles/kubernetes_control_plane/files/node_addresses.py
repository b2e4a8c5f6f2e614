#!/usr/bin/python3
"""Let the pod network of nodes follow their addresses.

Written by platformctl. flannel learns the address of its node when it starts. So on a node that has another
address than flannel announces, it is started again, as soon as the kubelet has told the cluster the new
address.

usage: platformctl-node-addresses NODE=ADDRESS ...
Prints `moved NODE` for each node that has another address now. Passes over nodes without a pod network.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

KUBECTL = ("/usr/local/bin/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=10s")
ANNOUNCED = "flannel.alpha.coreos.com/public-ip"
WAIT_SECONDS = 90

Nodes = Mapping[str, Mapping[str, Any]]


def main(wanted: Mapping[str, str]) -> int:
    """Exit status 1 if a node still has another address after 90 s."""
    moved = [name for name, node in nodes().items() if differs(name, node, wanted)]
    for name in moved:
        address = wanted[name]
        if not wait(name, lambda node, address=address: internal(node) == address):  # type: ignore[misc]
            return fail(
                f"{name} does not report its address {address}: journalctl -u kubelet on {name} says why"
            )
    for name in moved:
        selected = ("--selector=app.kubernetes.io/name=flannel", f"--field-selector=spec.nodeName={name}")
        kubectl("--namespace=kube-flannel", "delete", "pod", "--wait=false", *selected)
    for name in moved:
        address = wanted[name]
        if not wait(name, lambda node, address=address: announced(node) == address):  # type: ignore[misc]
            logs = "kubectl --namespace kube-flannel logs daemonset/flannel"
            return fail(f"the pod network of {name} does not use its address {address}: {logs} says why")
        sys.stdout.write(f"moved {name}\n")
    return 0


def differs(name: str, node: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether flannel announces another address of the node than the inventory has."""
    return name in wanted and announced(node) not in ("", wanted[name])


def announced(node: Mapping[str, Any]) -> str:
    """The address at which flannel expects the node; empty if the node has no pod network yet."""
    return str((node["metadata"].get("annotations") or {}).get(ANNOUNCED, ""))


def internal(node: Mapping[str, Any]) -> str:
    """The address that the kubelet reports."""
    addresses = node["status"].get("addresses") or []
    return next((str(item["address"]) for item in addresses if item["type"] == "InternalIP"), "")


def wait(name: str, condition: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether the condition holds for the node within 90 s."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition(nodes().get(name, {"metadata": {}, "status": {}})):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def nodes() -> Nodes:
    """All nodes by name."""
    return {
        item["metadata"]["name"]: item
        for item in json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    }


def kubectl(*words: str) -> str:
    """What kubectl prints; its own words go to standard error if it fails."""
    return subprocess.run([*KUBECTL, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def fail(message: str) -> int:
    """Say what is wrong."""
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(dict(pair.split("=", 1) for pair in sys.argv[1:])))
