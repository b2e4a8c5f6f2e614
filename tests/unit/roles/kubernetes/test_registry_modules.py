"""What hosts fetch from the site registry, and how it is filled: the modules, run as Ansible runs them."""

import hashlib
import http.server
import json
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ansible_files

PROGRAM = b"#!/bin/sh\necho program\n" * 1000
SHA256 = hashlib.sha256(PROGRAM).hexdigest()


def run(module: str, /, **arguments: Any) -> dict[str, Any]:
    """Result of a module."""
    done = subprocess.run(
        ansible_files.module_command(module),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class Registry:
    """A server that answers every request with `body`, over TLS."""

    def __init__(self, folder: Path) -> None:
        self.body, self.status, self.paths = PROGRAM, 200, list[str]()
        self.authority = folder / "ca.crt"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        command += ["-keyout", str(folder / "key"), "-out", str(self.authority), "-subj", "/CN=localhost"]
        subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.paths.append(self.path)
                self.send_response(registry.status)
                self.end_headers()
                self.wfile.write(registry.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, folder / "key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fetch(self, path: Path, authority: Path | None = None) -> dict[str, Any]:
        return run(
            "playbooks/library/registry_programs.py",
            registry=f"localhost:{self.server.server_port}",
            authority=str(authority or self.authority),
            programs=[{"name": "kubelet", "sha256": SHA256, "path": str(path)}],
        )


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORMCTL_STATE_FOLDER", str(tmp_path / "state"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    started = Registry(tmp_path)
    yield started
    started.server.shutdown()
    started.server.server_close()


def test_a_program_is_fetched_once_and_again_when_it_is_damaged(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "kubelet"
    assert registry.fetch(path)["changed"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (PROGRAM, 0o755)
    assert registry.paths == [f"/v2/platformctl/kubelet/blobs/sha256:{SHA256}"]
    assert not registry.fetch(path)["changed"]
    path.write_bytes(PROGRAM[:-1])
    assert registry.fetch(path)["changed"]


def test_wrong_bytes_never_become_a_program(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "kubelet"
    registry.body = PROGRAM[:-1]
    result = registry.fetch(path)
    assert result["failed"]
    assert "cannot fetch kubelet" in result["msg"]
    assert SHA256 in result["msg"]
    assert list(path.parent.iterdir()) == []


def test_a_missing_program_is_named_at_once(registry: Registry, tmp_path: Path) -> None:
    registry.status = 404
    result = registry.fetch(tmp_path / "kubelet")
    assert "cannot fetch kubelet" in result["msg"]
    assert len(registry.paths) == 1


def archive(folder: Path, name: str, content: str) -> None:
    source = folder / f"{name}.data"
    source.write_text(content)
    with tarfile.open(folder / f"{name}.tar", "w") as tar:
        tar.add(source, f"docker/registry/v2/{name}")


def test_a_registry_is_filled_with_what_it_lacks(tmp_path: Path) -> None:
    module, data = "roles/registry/library/registry_content.py", tmp_path / "data"
    data.mkdir()
    common = {
        "path": str(data),
        "store": "/unused",
        "archives": {"archives/a.tar": "aaaa", "archives/b.tar": "bbbb"},
    }
    found = run(module, **common)
    assert found["missing"] == ["aaaa", "bbbb"]
    archive(Path(found["incoming"]), "a", "first")
    (Path(found["incoming"]) / "a.data").unlink()
    assert run(module, **common, arrived={"a.tar": "aaaa"})["changed"]
    assert (data / "docker/registry/v2/a").read_text() == "first"
    assert run(module, **common)["missing"] == ["bbbb"]
    assert run(module, **common | {"archives": {"archives/a.tar": "aaaa"}})["changed"] is False


def test_a_damaged_archive_leaves_no_marker(tmp_path: Path) -> None:
    module, data = "roles/registry/library/registry_content.py", tmp_path / "data"
    data.mkdir()
    common = {"path": str(data), "store": "/unused", "archives": {"archives/a.tar": "aaaa"}}
    incoming = Path(run(module, **common)["incoming"])
    (incoming / "a.tar").write_bytes(b"no archive")
    assert "cannot fill" in run(module, **common, arrived={"a.tar": "aaaa"})["msg"]
    assert run(module, **common)["missing"] == ["aaaa"]
