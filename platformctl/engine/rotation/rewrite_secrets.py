"""Writes all Secrets of a cluster again, until etcd holds each under one encryption key.

A program of its own, with the standard library alone: `python3 - NODE KEY [read]` on a control-plane host,
where NODE is the name of its node. KEY is the name of the key that the API server writes with. What etcd
holds decides: a Secret that somebody changes or deletes meanwhile is looked at again. With `read`, it changes
nothing, and reads Secrets one by one, which the API server takes from etcd and not from its cache. Prints one
JSON object: `done`, how many it wrote or read, and `left`, the Secrets that are still under another key.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator

_KUBECTL = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"]
_ETCDCTL = [
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
    "--cert=/etc/kubernetes/pki/etcd/server.crt",
    "--key=/etc/kubernetes/pki/etcd/server.key",
]
_PREFIX = "/registry/secrets/"
_END = "/registry/secrets0"  # what follows all keys with the prefix
_PAGE = 500
_BATCH = 50
_READ = 500
_ROUNDS = 10


def main(node: str, key: str, read: bool) -> int:
    """Write until nothing is left, or read; the exit status is 1 if something is left."""
    done = 0
    left = _others(node, key)
    for attempt in range(0 if read else _ROUNDS):
        if not left:
            break
        time.sleep(min(attempt, 5))
        for start in range(0, len(left), _BATCH):
            done += _rewrite(left[start : start + _BATCH])
        left = _others(node, key)
    if read and not left:
        there = [(namespace, name) for namespace, name, _ in _stored(node)][:_READ]
        for start in range(0, len(there), _BATCH):
            done += sum(
                len(json.loads(text).get("items", [0])) for text in _read(there[start : start + _BATCH])
            )
    names = [f"{namespace}/{name}" for namespace, name in left]
    sys.stdout.write(json.dumps({"done": done, "left": names}))
    return 1 if left else 0


def _others(node: str, key: str) -> list[tuple[str, str]]:
    """Namespace and name of each Secret that etcd holds under another key, or unencrypted."""
    wanted = f"k8s:enc:secretbox:v1:{key}:".encode()
    return [(namespace, name) for namespace, name, value in _stored(node) if not value.startswith(wanted)]


def _stored(node: str) -> Iterator[tuple[str, str, bytes]]:
    """Namespace, name and raw value of all Secrets in etcd."""
    start = _PREFIX
    while True:
        page = _etcd(node, "get", start, _END, f"--limit={_PAGE}")
        found = page.get("kvs") or []
        for item in found:
            path = base64.b64decode(item["key"]).decode()
            namespace, _, name = path.removeprefix(_PREFIX).partition("/")
            yield namespace, name, base64.b64decode(item["value"])
        if not page.get("more"):
            return
        start = base64.b64decode(found[-1]["key"]).decode() + "\0"


def _etcd(node: str, *words: str) -> dict[str, list[dict[str, str]]]:
    exec_ = [*_KUBECTL, "exec", "--namespace=kube-system", f"etcd-{node}", "--"]
    done = subprocess.run([*exec_, *_ETCDCTL, *words, "--write-out=json"], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"etcd cannot be read: {done.stderr.decode(errors='replace').strip()}")
    page: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return page


def _rewrite(batch: list[tuple[str, str]]) -> int:
    """Replace Secrets by themselves; returns how many were. A conflict is left to the next round."""
    replace = [*_KUBECTL, "replace", "--filename=-", "--output=name"]
    written = 0
    for text in _read(batch):
        done = subprocess.run(replace, input=text, capture_output=True, check=False)
        sys.stderr.write(done.stderr.decode(errors="replace"))
        written += len(done.stdout.split())
    return written


def _read(batch: list[tuple[str, str]]) -> Iterator[bytes]:
    """The Secrets of each namespace as JSON; those that are gone are left out."""
    by_namespace: dict[str, list[str]] = {}
    for namespace, name in batch:
        by_namespace.setdefault(namespace, []).append(name)
    for namespace, names in by_namespace.items():
        get = ["get", "secrets", f"--namespace={namespace}", "--ignore-not-found", "--output=json", *names]
        found = subprocess.run([*_KUBECTL, *get], capture_output=True, check=False)
        if found.returncode:
            # kubectl prints a line for each.
            said = found.stderr.decode(errors="replace").strip().partition("\n")[0]
            sys.exit(f"Secrets of {namespace} cannot be read: {said}")
        if found.stdout.strip():
            yield found.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "read" in sys.argv[3:]))
