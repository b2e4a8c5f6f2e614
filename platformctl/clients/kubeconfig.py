"""Kubeconfigs: the administrator's, reachable from the operator's machine, and those of the site's users.

A user's kubeconfig holds a client certificate issued through the cluster's CertificateSigningRequest
API, so that the API server knows the user by name and the cluster's CA key never leaves its host. The
private key is made here and never sent.
"""

import base64
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import client, config

from platformctl.errors import PlatformError

USERS_GROUP = "platform:users"
_FILES = ("certificate-authority", "client-certificate", "client-key")
_SIGNER = "kubernetes.io/kube-apiserver-client"


def for_operator(admin: str, address: str, server_name: str) -> dict[str, Any]:
    """The cluster's admin.conf as a kubeconfig that works where the API's name does not resolve.

    admin: the text of admin.conf. address: a control-plane host's address. server_name: the name in
    the API server's certificate, which is still verified.
    """
    document: dict[str, Any] = yaml.safe_load(admin)
    for entry in document["clusters"]:
        cluster = entry["cluster"]
        port = cluster["server"].rsplit(":", 1)[-1]
        cluster["server"] = f"https://{address}:{port}"
        cluster["tls-server-name"] = server_name
    return document


def of_file(path: Path, context: str = "") -> dict[str, Any]:
    """One context of a kubeconfig (the current one if none is named) without the others or other files.

    ValueError: the file is no kubeconfig, or has no such context.
    """
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict):
        raise ValueError("it is no kubeconfig")
    name = context or str(document.get("current-context") or "")
    found = _entry(document, "context", name)
    cluster, user = (_entry(document, kind, str(found["context"].get(kind))) for kind in ("cluster", "user"))
    for entry, kind in ((cluster, "cluster"), (user, "user")):
        for key in _FILES:
            if file := entry[kind].pop(key, None):
                content = (path.parent / file).read_bytes()
                entry[kind][f"{key}-data"] = base64.b64encode(content).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [user],
        "contexts": [found],
        "current-context": name,
    }


def _entry(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for item in document.get(f"{kind}s") or []:
        if item.get("name") == name and isinstance(item.get(kind), dict):
            return {"name": name, kind: dict(item[kind])}
    known = ", ".join(str(item.get("name")) for item in document.get(f"{kind}s") or []) or "none"
    raise ValueError(f"it has no {kind} {name!r}; it has {known}")


def for_user(
    admin: dict[str, Any], user: str, namespace: str = "default", days: int = 30, wait_seconds: float = 30
) -> dict[str, Any]:
    """A kubeconfig by which the API server knows `user`, a member of the group platform:users.

    Raises PlatformError when the cluster's signer does not issue the certificate within wait_seconds.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, user),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, USERS_GROUP),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    with config.new_client_from_config_dict(admin) as api:
        certificate = _issue(client.CertificatesV1Api(api), user, request, days, wait_seconds)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cluster = admin["clusters"][0]
    context = {"cluster": cluster["name"], "user": user, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": base64.b64encode(certificate).decode(),
                    "client-key-data": base64.b64encode(private).decode(),
                },
            }
        ],
        "contexts": [{"name": user, "context": context}],
        "current-context": user,
    }


def _issue(
    certificates: client.CertificatesV1Api,
    user: str,
    request: x509.CertificateSigningRequest,
    days: int,
    wait_seconds: float,
) -> bytes:
    """Have the cluster sign `request`: create, approve, wait; the request object is removed after."""
    body = client.V1CertificateSigningRequest(
        metadata=client.V1ObjectMeta(generate_name=f"platform-user-{user}-"),
        spec=client.V1CertificateSigningRequestSpec(
            request=base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
            signer_name=_SIGNER,
            expiration_seconds=days * 86400,
            usages=["client auth"],
        ),
    )
    created = certificates.create_certificate_signing_request(body)
    assert created.metadata is not None
    name = str(created.metadata.name)
    try:
        approved = client.V1CertificateSigningRequestCondition(
            type="Approved",
            status="True",
            reason="SiteUser",
            message="Asked for by the site's operator with platformctl",
        )
        created.status = client.V1CertificateSigningRequestStatus(conditions=[approved])
        certificates.replace_certificate_signing_request_approval(name, created)
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            status = certificates.read_certificate_signing_request(name).status
            if status and status.certificate:
                return base64.b64decode(str(status.certificate))
            time.sleep(0.1)
    finally:
        certificates.delete_certificate_signing_request(name)
    raise PlatformError(
        f"the cluster did not issue a certificate for {user} within {wait_seconds:.0f} s",
        where=f"CertificateSigningRequest {name}",
        next="see whether kube-controller-manager runs: platformctl status",
    )


def write(kubeconfig: dict[str, Any], path: Path) -> None:
    """Write a kubeconfig readable by its owner only, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(kubeconfig, file, sort_keys=False)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
