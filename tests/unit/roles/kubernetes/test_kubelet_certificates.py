"""Which certificates kubelets get: decided on real requests, made by openssl."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.kubernetes.plugins import load

helper = load("roles/kubernetes_control_plane/files/kubelet_certificates.py")
HOSTS = {"node1": {"names": ["node1", "node1.lab.example"], "addresses": ["192.0.2.12"]}}
GOOD = "DNS:node1,IP:192.0.2.12"


def request(
    folder: Path,
    names: str = GOOD,
    subject: str = "/O=system:nodes/CN=system:node:node1",
    user: str = "system:node:node1",
    groups: tuple[str, ...] = ("system:nodes", "system:authenticated"),
    usages: tuple[str, ...] = ("digital signature", "server auth"),
) -> dict[str, Any]:
    """A CertificateSigningRequest as the API server shows it."""
    command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(folder / "key"), "-subj", subject]
    command += ["-addext", f"subjectAltName={names}"] if names else []
    pem = subprocess.run(command, check=True, capture_output=True).stdout
    spec = {"username": user, "groups": groups, "usages": usages, "request": base64.b64encode(pem).decode()}
    return {"metadata": {"name": "csr-1"}, "spec": spec, "status": {}}


def test_a_node_gets_one_for_its_own_names(tmp_path: Path) -> None:
    assert helper.refusal(request(tmp_path), HOSTS) is None
    assert helper.refusal(request(tmp_path, names=f"{GOOD},DNS:node1.lab.example"), HOSTS) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"names": f"{GOOD},DNS:api.lab.example"}, "it names api.lab.example"),
        ({"names": f"{GOOD},IP:192.0.2.11"}, "it names 192.0.2.11"),
        ({"names": f"{GOOD},URI:https://api"}, "it names URI:https://api"),
        ({"names": f"{GOOD},email:root@lab.example"}, "it names email:root@lab.example"),
        (
            {"subject": "/O=system:masters/CN=system:node:node1"},
            "its subject is CN=system:node:node1,O=system:masters",
        ),
        (
            {"subject": "/O=system:nodes/CN=system:node:ctl1"},
            "its subject is CN=system:node:ctl1,O=system:nodes",
        ),
        (
            {"user": "system:node:node9", "subject": "/O=system:nodes/CN=system:node:node9"},
            "node9 is not in the inventory",
        ),
        ({"user": "alice"}, "alice is not a node"),
        ({"groups": ("system:authenticated",)}, "system:node:node1 is not a node"),
        ({"usages": ("client auth", "digital signature")}, "it is for client auth, digital signature"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    assert helper.refusal(request(tmp_path, **change), HOSTS) == reason


def test_a_decided_request_is_left_alone(tmp_path: Path) -> None:
    asked = request(tmp_path)
    assert helper.is_pending(asked)
    asked["status"]["conditions"] = [{"type": "Denied"}]
    assert not helper.is_pending(asked)


def test_a_certificate_for_an_old_address_is_no_answer(tmp_path: Path) -> None:
    asked = request(tmp_path)
    assert not helper.is_answered(asked, HOSTS)
    asked["status"]["certificate"] = "Q0VSVA=="
    assert helper.is_answered(asked, HOSTS)
    moved = {"node1": {"names": ["node1"], "addresses": ["192.0.2.20"]}}
    assert not helper.is_answered(asked, moved)
