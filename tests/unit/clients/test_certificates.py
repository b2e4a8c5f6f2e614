"""A user's kubeconfig: the administrator's cluster, and the certificate that was issued for the user."""

import base64
from contextlib import nullcontext

import pytest

from platformctl.clients import certificates, kubeconfig


def test_a_users_kubeconfig_leads_to_the_same_cluster_with_another_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = {"server": "https://192.0.2.11:6443", "certificate-authority-data": "Q0E="}
    context = {"cluster": "kubernetes", "user": "kubernetes-admin"}
    admin = kubeconfig.Entries(
        "admin@kubernetes", context, cluster, {"client-key-data": "c2VjcmV0"}
    ).document()
    monkeypatch.setattr(certificates.config, "new_client_from_config_dict", lambda _: nullcontext())
    monkeypatch.setattr(certificates, "_issue", lambda *_: b"a certificate")
    found = kubeconfig.entries(certificates.user_kubeconfig(admin, "alice", "team1"))
    assert (found.name, found.namespace, found.cluster) == ("alice", "team1", cluster)
    assert base64.b64decode(found.user["client-certificate-data"]) == b"a certificate"
    assert b"PRIVATE KEY" in base64.b64decode(found.user["client-key-data"])
    assert "c2VjcmV0" not in str(found.user)
