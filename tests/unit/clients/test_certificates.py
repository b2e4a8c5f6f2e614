"""A user's kubeconfig: the administrator's cluster, and the certificate that was issued for the user."""

import base64
from contextlib import nullcontext

import pytest
from kubernetes import client
from urllib3.util.retry import Retry

from platformctl.clients import certificates, kubeconfig
from platformctl.errors import ExitCode, PlatformError


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


ADMIN = kubeconfig.Entries(
    "admin@kubernetes",
    {"cluster": "kubernetes", "user": "kubernetes-admin"},
    {"server": "https://127.0.0.1:1"},
    {"token": "x"},
).document()


def test_an_api_that_is_away_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.util.retry.Retry.DEFAULT", Retry(0))
    with pytest.raises(PlatformError) as error:
        certificates.user_kubeconfig(ADMIN, "alice")
    assert error.value.code is ExitCode.UNREACHABLE
    assert error.value.where == "https://127.0.0.1:1"
    assert "Connection refused" in error.value.what


def test_a_refusal_is_said_in_the_servers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        failure = client.ApiException(status=403, reason="Forbidden")
        failure.body = '{"message": "admission webhook denied it"}'
        raise failure

    monkeypatch.setattr(certificates, "_issue", refuse)
    with pytest.raises(PlatformError, match=r"alice: admission webhook denied it \(HTTP 403\)"):
        certificates.user_kubeconfig(ADMIN, "alice")
