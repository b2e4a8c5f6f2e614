"""Questions that a shell cannot ask by itself. Runs on a host, with its Python's standard library alone.

usage: on_host.py QUESTION ARGUMENT...    0: fine. Otherwise the last line says what is wrong.
Sockets only, so that no proxy of the host's environment is used.
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_SECONDS = 1.0
_SPACE = (
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_server_quota_backend_bytes",
)
_NEARLY_FULL = 0.75

Answer = tuple[int, str]
"""Exit status and words."""


def fetch(url: str, authority: str, *headers: str) -> "tuple[int, bytes]":
    """Status and body of a GET over TLS, verified by the authority (a file)."""
    host, _, path = url.removeprefix("https://").partition("/")
    name, _, port = host.rpartition(":")
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection((name, int(port)), timeout=_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as stream,
    ):
        stream.settimeout(5)
        lines = [f"GET /{path} HTTP/1.0", f"Host: {host}", *headers, "", ""]
        stream.sendall("\r\n".join(lines).encode())
        answer = b""
        while piece := stream.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def get(url: str, authority: str, *headers: str) -> Answer:
    """Whether a GET is answered with 200; 2 if there is no such thing. A token of Slurm comes by $TOKEN."""
    if token := os.environ.get("TOKEN"):
        headers = (*headers, f"X-SLURM-USER-TOKEN: {token}")
    try:
        status, body = fetch(url, authority, *headers)
    except (OSError, ValueError, IndexError) as error:
        return 1, f"{url} does not answer: {error}"
    if status != 200:
        words = " ".join(body.decode(errors="replace").split())[:200]
        return (2 if status == 404 else 1), f"{url} answers with HTTP {status}: {words}"
    return 0, f"{url} answers"


def registry(base: str, authority: str) -> Answer:
    """Whether a registry serves the manifest of something that it has."""
    kinds = "Accept: " + ", ".join(
        [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ]
    )
    url = f"{base}/v2/_catalog?n=1"
    try:
        names = json.loads(fetch(url, authority)[1])["repositories"]
        if not names:
            return 1, f"{base} has no image"
        url = f"{base}/v2/{names[0]}/tags/list"
        tags = json.loads(fetch(url, authority)[1])["tags"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        return 1, f"{url} does not answer: {error}"
    return get(f"{base}/v2/{names[0]}/manifests/{tags[0]}", authority, kinds)


def resolve(server: str, name: str) -> Answer:
    """Whether a DNS server knows an address of a name, asked over UDP."""
    number = os.urandom(2)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split("."))
    question = number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    why = "no answer"
    for _ in range(2):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                asked.settimeout(_SECONDS)
                asked.connect((server, 53))
                asked.send(question)
                answer = asked.recv(4096)
        except OSError as error:
            why = str(error)
            continue
        code, found = answer[3] & 15, struct.unpack(">H", answer[6:8])[0]
        if answer[:2] == number and code == 0 and found:
            return 0, f"{server} knows {name}"
        why = f"its answer has the code {code} and {found} addresses"
    return 1, f"the name server {server} does not resolve {name}: {why}"


def service(url: str, authority: str) -> Answer:
    """Whether a service address answers from this host, and the rules for it and for pods are there."""
    code, words = get(url, authority)
    # Where the address answers, kube-proxy may have rules of another kind, as the site chose.
    missing = " and ".join(name for name in _missing_rules() if code or name != "kube-proxy")
    if not missing:
        return code, words
    also = f", and {words}" if code else ""
    return 1, f"the packet rules of {missing} are gone{also}"


def _missing_rules() -> "list[str]":
    """Programs that run without their tables. Asked with kube-proxy's own nft, as hosts need none."""
    running = _processes()
    if "kube-proxy" not in running:
        return []
    root = f"/proc/{running['kube-proxy']}/root"
    done = subprocess.run(
        ["chroot", root, "nft", "list", "tables"], capture_output=True, text=True, timeout=5, check=False
    )
    if done.returncode:
        return []
    tables = {"kube-proxy": " kube-proxy", "flanneld": " flannel"}
    return [
        name.removesuffix("d")
        for name, table in tables.items()
        if name in running and table not in done.stdout
    ]


def _processes() -> "dict[str, str]":
    """A process id by the name of its program."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            found[path.read_text().strip()] = path.parent.name
        except OSError:
            continue
    return found


def etcd_space(host: str, port: str) -> Answer:
    """Whether the database of the host's etcd is well below its quota, from the metrics at a port."""
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=3)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("etcd_"))
        size, used, quota = (float(found[name]) for name in _SPACE)
    except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
        return 1, f"etcd does not say the size of its database: {error}"
    words = f"the database of etcd has {size / 2**20:.0f} of {quota / 2**20:.0f} MiB"
    if used > _NEARLY_FULL * quota:
        more = "raise kubernetes_control_plane_etcd_quota_mib"
        return 1, f"{words}; at its quota it takes no writes: delete Jobs that are not needed, or {more}"
    if size > _NEARLY_FULL * quota:
        unit = "platformctl-etcd-defragment"
        return (
            1,
            f"{words}, and needs {used / 2**20:.0f}: run systemctl start {unit} on its first host by name",
        )
    return 0, words


def pods(device: str, address: str, *peers: str) -> Answer:
    """Whether the pod network uses the node's address, and reaches other nodes (NAME=ADDRESS) through it.

    A line `! NAME words` for each that is not reached; the caller knows whether that one is in service.
    """
    links = _ip("ip", "-json", "-details", "link", "show", "dev", device)
    if not links:
        return 1, f"there is no device {device}, so pods reach no other node"
    local = links[0].get("linkinfo", {}).get("info_data", {}).get("local", "")
    if local != address:
        return 1, f"the pod network uses the address {local}, but the inventory has {address}"
    known = _ip("bridge", "-json", "fdb", "show", "dev", device)
    ends = {row["dst"]: row["mac"] for row in known if "dst" in row}
    gateways = {row.get("lladdr"): row["dst"] for row in _ip("ip", "-json", "neigh", "show", "dev", device)}
    with concurrent.futures.ThreadPoolExecutor(max(1, len(peers))) as pool:
        lines = [line for line in pool.map(lambda peer: _reach(peer, ends, gateways), peers) if line]
    words = f"the pod network uses {address} and reaches {len(peers) - len(lines)} neighbours"
    return 0, "\n".join([*lines, words])


def _reach(peer: str, ends: "dict[Any, Any]", gateways: "dict[Any, Any]") -> str:
    name, _, address = peer.partition("=")
    gateway = gateways.get(ends.get(address, ""))
    if not gateway:
        return f"! {name} the pod network does not know {name} by its address {address}"
    if _echo(gateway) or _connects(gateway):
        return ""
    return f"! {name} pods do not reach those of {name}: {gateway} does not answer through the pod network"


def _echo(address: str) -> bool:
    """Whether a ping is answered, at the second try at the latest."""
    body = struct.pack(">HH", os.getpid() & 0xFFFF, 1) + b"platformctl!"
    total = sum(struct.unpack(">8H", body)) + 0x0800
    total = (total >> 16) + (total & 0xFFFF)
    packet = struct.pack(">BBH", 8, 0, ~(total + (total >> 16)) & 0xFFFF) + body
    for _ in range(2):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asked:
                asked.settimeout(_SECONDS)
                asked.connect((address, 0))
                asked.send(packet)
                while True:
                    answer = asked.recv(256)
                    if answer[20] == 0 and answer[24:] == body:
                        return True
        except OSError:
            continue
    return False


def _connects(address: str) -> bool:
    """Whether the kubelet there accepts or refuses a connection, where pings are filtered."""
    try:
        socket.create_connection((address, 10250), timeout=_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _ip(*command: str) -> "list[dict[str, Any]]":
    done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return found


QUESTIONS: "dict[str, Callable[..., Answer]]" = {
    "get": get,
    "registry": registry,
    "resolve": resolve,
    "service": service,
    "pods": pods,
    "etcd_space": etcd_space,
}


def main() -> None:
    """Ask the question that the first argument names."""
    code, words = QUESTIONS[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write(f"{words}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
