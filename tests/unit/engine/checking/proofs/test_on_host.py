"""Questions in Python, asked of servers on this machine and of stand-ins for `ip` and `bridge`."""

import http.server
import json
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from platformctl.engine.checking.proofs import on_host


class Answers(http.server.BaseHTTPRequestHandler):
    documents: ClassVar[dict[str, object]] = {
        "/v2/_catalog?n=1": {"repositories": ["pause"]},
        "/v2/pause/tags/list": {"tags": ["3.10"]},
        "/v2/pause/manifests/3.10": {},
    }

    def do_GET(self) -> None:
        found = self.documents.get(self.path)
        if self.path == "/token":
            self.send_response(200 if self.headers["X-SLURM-USER-TOKEN"] == "secret" else 401)
        else:
            self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and authority of a server with TLS."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    served = http.server.HTTPServer(("localhost", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{served.server_port}", str(certificate)
    served.shutdown()
    served.server_close()


def test_a_server_answers(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    base, authority = server
    assert on_host.get(f"{base}/v2/pause/tags/list", authority)[0] == 0
    assert on_host.get(f"{base}/nothing", authority)[0] == 2
    assert on_host.get(f"{base}/token", authority)[0] == 1
    monkeypatch.setenv("TOKEN", "secret")
    assert on_host.get(f"{base}/token", authority)[0] == 0


def test_a_server_with_another_certificate_does_not_count(server: tuple[str, str]) -> None:
    base, _ = server
    code, words = on_host.get(f"{base}/v2/", "/etc/ssl/certs/ca-certificates.crt")
    assert code == 1
    assert "certificate verify failed" in words


def test_a_server_that_is_not_there_is_named(server: tuple[str, str]) -> None:
    code, words = on_host.get("https://localhost:1/x", server[1])
    assert (code, words) == (1, "https://localhost:1/x does not answer: [Errno 111] Connection refused")


def test_a_registry_serves_a_manifest(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_host.registry(*server)[0] == 0
    monkeypatch.setattr(Answers, "documents", {"/v2/_catalog?n=1": {"repositories": []}})
    assert on_host.registry(*server) == (1, f"{server[0]} has no image")


@pytest.mark.parametrize(
    ("code", "addresses", "fine"), [(0, 1, True), (3, 0, False), (2, 0, False), (0, 0, False)]
)
def test_a_name_server_knows_a_name(
    monkeypatch: pytest.MonkeyPatch, code: int, addresses: int, fine: bool
) -> None:
    served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    served.bind(("127.0.0.1", 0))
    asked = []

    def answer() -> None:
        for _ in range(1 if fine else 2):
            question, back = served.recvfrom(4096)
            asked.append(question)
            served.sendto(
                question[:2] + struct.pack(">HHH", 0x8180 | code, 1, addresses) + question[8:], back
            )

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, _: connect(self, served.getsockname()))
    found, words = on_host.resolve("10.96.0.10", "kubernetes.default.svc")
    thread.join(5)
    served.close()
    assert (found == 0) is fine, words
    assert b"\x0akubernetes\x07default\x03svc\x00" in asked[0]


def commands(
    monkeypatch: pytest.MonkeyPatch, local: str, ends: dict[str, str], missing: bool = False
) -> None:
    """Stand-ins for ip and bridge. ends: address of the node by that of its part of the pod network."""

    def run(*command: str) -> list[dict[str, object]]:
        if command[3:5] == ("link", "show") and not missing:
            return [{"linkinfo": {"info_data": {"local": local}}}]
        if command[0] == "bridge":
            return [{"dst": node, "mac": f"mac of {part}"} for part, node in ends.items()]
        if command[2] == "neigh":
            return [{"dst": part, "lladdr": f"mac of {part}"} for part in ends]
        return []

    monkeypatch.setattr(on_host, "_ip", run)


def test_the_pod_network_is_proven_by_reaching_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    commands(monkeypatch, "192.0.2.1", {"10.244.1.0": "192.0.2.2", "10.244.2.0": "192.0.2.3"})
    monkeypatch.setattr(on_host, "_echo", lambda address: address == "10.244.1.0")
    monkeypatch.setattr(on_host, "_connects", lambda _: False)
    code, words = on_host.pods("flannel.1", "192.0.2.1", "n2=192.0.2.2", "n3=192.0.2.3", "n4=192.0.2.4")
    assert code == 0
    assert words.splitlines() == [
        "! n3 pods do not reach those of n3: 10.244.2.0 does not answer through the pod network",
        "! n4 the pod network does not know n4 by its address 192.0.2.4",
        "the pod network uses 192.0.2.1 and reaches 1 neighbours",
    ]


def test_the_pod_network_must_use_the_address_of_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    commands(monkeypatch, "203.0.113.9", {})
    assert on_host.pods("flannel.1", "192.0.2.1") == (
        1,
        "the pod network uses the address 203.0.113.9, but the inventory has 192.0.2.1",
    )
    commands(monkeypatch, "192.0.2.1", {}, missing=True)
    assert on_host.pods("flannel.1", "192.0.2.1")[0] == 1


def test_a_ping_of_this_machine_is_answered() -> None:
    if on_host.os.geteuid() != 0:
        pytest.skip("raw sockets need root")
    assert on_host._echo("127.0.0.1")


def test_rules_that_are_gone_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        on_host, "get", lambda *_: (1, "https://10.96.0.1:443/readyz does not answer: timed out")
    )
    monkeypatch.setattr(on_host, "_processes", lambda: {"kube-proxy": "1", "flanneld": "2"})
    tables = "table ip kube-proxy\ntable ip flannel-ipv4\n"

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, tables, "")

    monkeypatch.setattr(on_host.subprocess, "run", run)
    assert on_host.service("https://10.96.0.1:443/readyz", "") == (
        1,
        "https://10.96.0.1:443/readyz does not answer: timed out",
    )
    tables = ""
    assert on_host.service("https://10.96.0.1:443/readyz", "") == (
        1,
        "the packet rules of kube-proxy and flannel are gone, and "
        "https://10.96.0.1:443/readyz does not answer: timed out",
    )
    monkeypatch.setattr(on_host, "get", lambda *_: (0, "fine"))
    tables = "table ip kube-proxy"
    assert on_host.service("", "") == (1, "the packet rules of flannel are gone")
    tables = "table ip flannel-ipv4"
    assert on_host.service("", "") == (0, "fine"), "kube-proxy may use iptables"


@pytest.mark.parametrize(
    ("size", "used", "code", "words"),
    [
        (100, 90, 0, "the database of etcd has 100 of 1000 MiB"),
        (740, 700, 0, "has 740 of 1000 MiB"),
        (900, 100, 1, "and needs 100: run systemctl start platformctl-etcd-defragment"),
        (900, 800, 1, "at its quota it takes no writes: delete Jobs that are not needed"),
    ],
)
def test_how_full_etcd_is(size: int, used: int, code: int, words: str) -> None:
    text = (
        "# HELP etcd_x y\n"
        f"etcd_mvcc_db_total_size_in_bytes {size * 2**20:e}\n"
        f"etcd_mvcc_db_total_size_in_use_in_bytes {used * 2**20:e}\n"
        f"etcd_server_quota_backend_bytes {1000 * 2**20:e}\n"
    )

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = on_host.etcd_space("127.0.0.1", str(server.server_port))
    assert found[0] == code
    assert words in found[1]


def test_an_etcd_that_does_not_say_its_size() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        code, words = on_host.etcd_space("127.0.0.1", str(closed.getsockname()[1]))
    assert code == 1
    assert words.startswith("etcd does not say the size of its database")
