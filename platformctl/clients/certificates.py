"""Users' kubeconfigs: each holds a client certificate that the cluster issued.

The certificate is requested through the cluster's CertificateSigningRequest API. So the API server knows the
user by name, and the cluster's CA key never leaves its host. The private key is made here and never sent.
"""

import base64
import json
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from platformctl.clients import kubeconfig
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import USERS_GROUP

_SIGNER = "kubernetes.io/kube-apiserver-client"


def user_kubeconfig(
    admin: dict[str, Any], user: str, namespace: str = "default", days: int = 30, wait_seconds: float = 30
) -> dict[str, Any]:
    """A kubeconfig that makes its owner known to the API server as `user`, in the group platform:users.

    Raises PlatformError if the cluster's signer does not issue the certificate within wait_seconds.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, user),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, USERS_GROUP),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    server = kubeconfig.entries(admin).cluster["server"]
    try:
        with config.new_client_from_config_dict(admin) as api:
            certificate = _issue(client.CertificatesV1Api(api), user, request, days, wait_seconds)
    except (client.ApiException, HTTPError, config.ConfigException, OSError, ValueError) as error:
        raise PlatformError(
            f"the Kubernetes API did not issue a certificate for {user}: {_said(error)}",
            where=server,
            next="see whether the API answers: platformctl status -i SITE",
            code=ExitCode.FAILED if isinstance(error, client.ApiException) else ExitCode.UNREACHABLE,
        ) from error
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    given = kubeconfig.entries(admin)
    context = {"cluster": given.context["cluster"], "user": user, "namespace": namespace}
    credentials = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(private).decode(),
    }
    return kubeconfig.Entries(user, context, given.cluster, credentials).document()


def _said(error: Exception) -> str:
    """The server's own words, or why it was not reached."""
    if isinstance(error, client.ApiException):
        try:
            message = str(json.loads(error.body or "")["message"])
        except (ValueError, KeyError, TypeError):
            message = str(error.reason)
        return f"{message} (HTTP {error.status})"
    return str(getattr(error, "reason", "") or error)


def _issue(
    certificates: client.CertificatesV1Api,
    user: str,
    request: x509.CertificateSigningRequest,
    days: int,
    wait_seconds: float,
) -> bytes:
    """Have the cluster sign `request`: create, approve, wait. The request object is removed afterwards."""
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
            message="Requested by the site's operator with platformctl",
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
        next="check whether kube-controller-manager runs: platformctl status -i SITE",
    )
