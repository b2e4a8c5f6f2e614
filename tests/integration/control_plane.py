"""A real API server and etcd as two processes on loopback, without nodes or controllers.

Enough to prove custom resources, CEL, admission policies and controllers against the real thing. Users
are static tokens: the token is the user's name; `root` is in system:masters.
"""

import contextlib
import csv
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.programs import program

ADMIN = "root"


@dataclass(frozen=True)
class ControlPlane:
    """Where the API server answers (HTTPS, its own certificate), etcd, and the folder of files and logs."""

    server: str
    folder: Path
    etcd: str

    @property
    def authority(self) -> Path:
        """The certificate that the API server made for itself."""
        return self.folder / "apiserver.crt"

    def kubeconfig(self, user: str) -> Path:
        """A kubeconfig of a user named in `start`."""
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        path.write_text(
            f"""{{"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{{"name": "x", "cluster": {{"server": "{self.server}",
                          "certificate-authority": "{self.authority}"}}}}],
            "users": [{{"name": "x", "user": {{"token": "{user}"}}}}],
            "contexts": [{{"name": "x", "context": {{"cluster": "x", "user": "x"}}}}]}}"""
        )
        return path


@contextlib.contextmanager
def start(folder: Path, users: dict[str, str], flags: Sequence[str] = ()) -> Iterator[ControlPlane]:
    """Run etcd and the API server until the block ends.

    users: group by user name; flags: more of the API server.
    """
    etcd, server = program("etcd"), program("kube-apiserver")
    client, peer, port = (free_port() for _ in range(3))
    _write_tokens(folder / "tokens.csv", users)
    _write_key(folder / "service-account.key")
    processes = []
    try:
        address = f"http://127.0.0.1:{client}"
        processes.append(_spawn(folder, "etcd", [str(etcd), *_etcd_flags(folder, address, peer)]))
        command = [str(server), *_server_flags(folder, address, port), *flags]
        processes.append(_spawn(folder, "apiserver", command))
        plane = ControlPlane(f"https://127.0.0.1:{port}", folder, address)
        _await_ready(plane, processes)
        yield plane
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        shutil.rmtree(folder / "etcd", ignore_errors=True)


def _etcd_flags(folder: Path, address: str, peer: int) -> list[str]:
    return [
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={address}",
        f"--advertise-client-urls={address}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _server_flags(folder: Path, etcd: str, port: int) -> list[str]:
    key = f"{folder}/service-account.key"
    return [
        f"--etcd-servers={etcd}",
        f"--cert-dir={folder}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
    ]


def _spawn(folder: Path, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _await_ready(plane: ControlPlane, processes: list[subprocess.Popen[bytes]], seconds: float = 60) -> None:
    import ssl

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), (
            plane.folder / "apiserver.log"
        ).read_text()
        with contextlib.suppress(OSError, urllib.error.URLError, ssl.SSLError):
            context = ssl.create_default_context(cafile=str(plane.authority))
            with urllib.request.urlopen(f"{plane.server}/readyz", timeout=2, context=context) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.2)
    raise AssertionError((plane.folder / "apiserver.log").read_text()[-3000:])


def _write_tokens(path: Path, users: dict[str, str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([ADMIN, ADMIN, ADMIN, "system:masters"])
        for user, group in users.items():
            writer.writerow([user, user, user, group])


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def most_memory(pid: int) -> float:
    """The most memory in MB that a process has had so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
