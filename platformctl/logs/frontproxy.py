"""Identifies the caller: the API server's front proxy sends the name in headers, over its own connection.

The ConfigMap kube-system/extension-apiserver-authentication has the authority of its client certificate, the
names that the certificate may have, and the names of the headers. Source: Kubernetes documentation,
"Configure the Aggregation Layer".
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


class UnauthenticatedError(Exception):
    """The request did not come through the API server."""


@dataclass(frozen=True)
class Caller:
    """A user or program as known to the API server; extra as in a SubjectAccessReview."""

    name: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class FrontProxy:
    """The content of the ConfigMap. names: common names that the certificate may have; empty means any."""

    authority: str
    names: tuple[str, ...]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def of(cls, config_map: Mapping[str, Any]) -> "FrontProxy":
        """From the ConfigMap. Raises ValueError when the API server has no front proxy."""
        data: Mapping[str, str] = config_map.get("data") or {}
        if not data.get("requestheader-client-ca-file"):
            raise ValueError(
                "the API server has no requestheader-client-ca-file: aggregation is switched off"
            )

        def listed(name: str, default: str = "") -> tuple[str, ...]:
            return tuple(json.loads(data.get(name) or "[]")) or ((default,) if default else ())

        return cls(
            data["requestheader-client-ca-file"],
            listed("requestheader-allowed-names"),
            listed("requestheader-username-headers", "X-Remote-User"),
            listed("requestheader-group-headers", "X-Remote-Group"),
            listed("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        )

    def tls(self, certificate: Path, key: Path) -> ssl.SSLContext:
        """The server's TLS settings. Clients without a certificate may connect (as probes do)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(cadata=self.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def caller(self, request: web.Request) -> Caller:
        """The caller of a request. Raises UnauthenticatedError."""
        certificate = request.get_extra_info("peercert")
        if not certificate:
            raise UnauthenticatedError("ask through the Kubernetes API server")
        name = _common_name(certificate)
        if self.names and name not in self.names:
            raise UnauthenticatedError(f"the certificate of {name!r} may not speak for others")
        headers = request.headers
        user = next((headers[header] for header in self.user_headers if headers.get(header)), "")
        if not user:
            raise UnauthenticatedError("the API server named nobody")
        groups = [group for header in self.group_headers for group in headers.getall(header, [])]
        return Caller(user, tuple(groups), self._extra(request))

    def _extra(self, request: web.Request) -> dict[str, tuple[str, ...]]:
        extra: dict[str, tuple[str, ...]] = {}
        for header, value in request.headers.items():
            for prefix in self.extra_prefixes:
                if header.lower().startswith(prefix.lower()):
                    key = header[len(prefix) :].lower()
                    extra[key] = (*extra.get(key, ()), value)
        return extra


def _common_name(certificate: Mapping[str, Any]) -> str:
    fields = {key: value for part in certificate.get("subject", ()) for key, value in part}
    return str(fields.get("commonName", ""))
