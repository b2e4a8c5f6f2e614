#!/usr/bin/python3
"""Approve the serving certificates that kubelets ask for, if they match the inventory.

Written by platformctl. A kubelet could ask for any name; nothing is signed for it unless the node is in
hosts.json, and the request holds that node's own names and addresses and is for a server only.

usage: platformctl-kubelet-certificates [NODE ...]
Approves what is pending. With node names, waits until each of them has a certificate for its present
addresses (at most 120 s).
"""

import base64
import json
import pathlib
import re
import subprocess
import sys
import time
from typing import Any

HOSTS = pathlib.Path("/etc/kubernetes/apiserver/hosts.json")
KUBECTL = ("/usr/local/bin/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
SIGNER = "kubernetes.io/kubelet-serving"
USAGES = {"digital signature", "key encipherment", "server auth"}
WAIT_SECONDS = 120


def main(waited_for: set[str]) -> int:
    """Exit status 1 if a node that was waited for got no certificate."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        hosts = json.loads(HOSTS.read_text())
        requests = [item for item in requests_for_serving() if item["metadata"].get("uid")]
        good = [item for item in requests if is_pending(item) and refusal(item, hosts) is None]
        if good:
            subprocess.run(
                [*KUBECTL, "certificate", "approve", *(item["metadata"]["name"] for item in good)], check=True
            )
        waited_for -= {node_of(item) for item in requests if is_answered(item, hosts)}
        if not waited_for:
            return 0
        if time.monotonic() > deadline:
            report(waited_for, requests, hosts)
            return 1
        time.sleep(0.5)


def requests_for_serving() -> list[dict[str, Any]]:
    """All requests for serving certificates of kubelets."""
    command = [
        *KUBECTL,
        "get",
        "certificatesigningrequests",
        f"--field-selector=spec.signerName={SIGNER}",
        "--output=json",
    ]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    items: list[dict[str, Any]] = answer["items"]
    return items


def is_pending(request: dict[str, Any]) -> bool:
    """Whether nobody has decided about it."""
    return not request.get("status", {}).get("conditions")


def is_answered(request: dict[str, Any], hosts: dict[str, Any]) -> bool:
    """Whether the node got a certificate for all its addresses: they may have changed since."""
    if not request.get("status", {}).get("certificate"):
        return False
    _, _, addresses = read_request(base64.b64decode(request["spec"]["request"]))
    return set(hosts.get(node_of(request), {}).get("addresses", ())) <= addresses


def node_of(request: dict[str, Any]) -> str:
    """Name of the node that asks. The API server has authenticated it."""
    user: str = request["spec"]["username"]
    return user.removeprefix("system:node:")


def refusal(request: dict[str, Any], hosts: dict[str, Any]) -> str | None:
    """Why the request must not be approved; None if it may."""
    spec, node = request["spec"], node_of(request)
    if spec["username"] != f"system:node:{node}" or "system:nodes" not in spec.get("groups", []):
        return f"{spec['username']} is not a node"
    if node not in hosts:
        return f"{node} is not in the inventory"
    if not set(spec["usages"]) <= USAGES:
        return f"it is for {', '.join(spec['usages'])}"
    subject, names, addresses = read_request(base64.b64decode(spec["request"]))
    if subject != f"CN={spec['username']},O=system:nodes":
        return f"its subject is {subject}"
    strange = (names - set(hosts[node]["names"])) | (addresses - set(hosts[node]["addresses"]))
    return f"it names {', '.join(sorted(strange))}" if strange else None


def read_request(pem: bytes) -> tuple[str, set[str], set[str]]:
    """Subject, DNS names and addresses in a request; another kind of name counts as a strange one."""
    command = [
        "openssl",
        "req",
        "-noout",
        "-verify",
        "-subject",
        "-nameopt",
        "RFC2253,sep_comma_plus",
        "-text",
        "-in",
        "/dev/stdin",
    ]
    text = subprocess.run(command, check=True, capture_output=True, input=pem).stdout.decode()
    subject = re.search(r"^subject=(.*)$", text, re.MULTILINE)
    listed = re.search(r"X509v3 Subject Alternative Name:.*\n\s*(.*)", text)
    names, addresses = set(), set()
    for entry in listed.group(1).split(", ") if listed else []:
        kind, _, value = entry.partition(":")
        if kind == "IP Address":
            addresses.add(value)
        else:
            names.add(value if kind == "DNS" else entry)
    return subject.group(1) if subject else "", names, addresses


def report(waited_for: set[str], requests: list[dict[str, Any]], hosts: dict[str, Any]) -> None:
    """Say for each node that has no certificate what is wrong."""
    for node in sorted(waited_for):
        reasons = [refusal(item, hosts) for item in requests if node_of(item) == node and is_pending(item)]
        reason = "; ".join(filter(None, reasons)) or "its kubelet did not ask for one (journalctl -u kubelet)"
        sys.stderr.write(f"{node} has no serving certificate: {reason}\n")


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
