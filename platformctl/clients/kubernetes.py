"""A small asynchronous client of the Kubernetes API: objects are plain dictionaries, errors are typed.

Paths are the API's own (`/apis/batch/v1/namespaces/default/jobs/x`). It covers what the controllers
and the charts stage call, and leaves watching to kopf.
"""

import base64
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FIELD_MANAGER = "platformctl"
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)


class ApiError(Exception):
    """The API server refused a request: HTTP code, reason of the Status object, and its message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{message or reason} (HTTP {code})")
        self.code = code
        self.reason = reason
        self.message = message


class NotFoundError(ApiError):
    """No such object, or no such API (404)."""


class AlreadyExistsError(ApiError):
    """An object of that name is there (409 on create)."""


class ConflictError(ApiError):
    """The object changed since it was read (409 on update)."""


class UnavailableError(ApiError):
    """No usable answer: unreachable, timed out, overloaded (429) or failing (5xx). It may have worked."""


@dataclass(frozen=True)
class Connection:
    """Where the API server is and who asks.

    token_file is read again for each request: it rotates. server_name is the name expected in the
    server's certificate, where it is reached by another.
    """

    server: str
    tls: ssl.SSLContext | None = None
    token: str = ""
    token_file: Path | None = None
    server_name: str | None = None

    def headers(self) -> dict[str, str]:
        """The Authorization header, if a token is used."""
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_cluster(host: str, port: str, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The connection of a pod with a service account; host and port from KUBERNETES_SERVICE_*."""
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Connection(f"https://{address}:{port}", tls, token_file=folder / "token")


def from_kubeconfig(path: Path) -> Connection:
    """The connection of the current context. Client certificates and tokens are understood."""
    config = yaml.safe_load(path.read_text())

    def named(kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            (item for item in config.get(f"{kind}s") or [] if item["name"] == name), {}
        )
        return dict(found.get(kind) or {})

    context = named("context", config.get("current-context", ""))
    cluster, user = named("cluster", context.get("cluster", "")), named("user", context.get("user", ""))
    if not cluster.get("server"):
        raise ValueError(f"{path} has no current context with a server")
    return connect(cluster, user)


def connect(cluster: dict[str, Any], user: dict[str, Any]) -> Connection:
    """The connection of a kubeconfig's cluster and user entries."""
    tls = None
    if cluster["server"].startswith("https:"):
        tls = _tls(cluster, user)
    token_file = Path(user["tokenFile"]) if user.get("tokenFile") else None
    return Connection(
        cluster["server"].rstrip("/"), tls, user.get("token", ""), token_file, cluster.get("tls-server-name")
    )


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if certificate and key:
        # The ssl module reads client certificates from files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name)
    return tls


def _data(entry: dict[str, Any], name: str) -> bytes:
    """A kubeconfig value given in place (base64, or as it is under -pem) or as the path of a file."""
    if entry.get(f"{name}-pem"):
        return str(entry[f"{name}-pem"]).encode()
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return Path(entry[name]).read_bytes() if entry.get(name) else b""


class KubernetesClient:
    """Requests to one API server over kept-open connections. Use as an asynchronous context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object, or a list object."""
        return await self._request("GET", path, query)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to a collection; returns the object as stored."""
        try:
            return await self._request("POST", path, {"fieldManager": FIELD_MANAGER}, body)
        except ConflictError as error:
            raise AlreadyExistsError(error.code, error.reason, error.message) from None

    async def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        """JSON merge patch (RFC 7386). With metadata.resourceVersion, a changed object is a conflict."""
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", path, query, patch, "application/merge-patch+json")

    async def apply(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply: create the object or make our fields of it as given."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    async def delete(self, path: str, uid: str = "", propagation: str = "Background") -> None:
        """Delete an object; with uid, only that one and not a later one of the same name. Absent is fine."""
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._request("DELETE", path, {}, body)
        except NotFoundError:
            return

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = self._connection.headers() | {"Content-Type": content_type}
        try:
            async with self._session.request(
                method,
                self._connection.server + path,
                params=query,
                data=None if body is None else json.dumps(body),
                headers=headers,
                server_hostname=self._connection.server_name,
                ssl=self._connection.tls if self._connection.tls is not None else True,
            ) as response:
                text = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(0, "Unreachable", f"{type(error).__name__}: {error}") from error
        document = _document(text)
        if status < 400:
            return document
        reason, message = str(document.get("reason", "")), str(document.get("message", text[:500]))
        raise _error_type(status)(status, reason, message)


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _error_type(status: int) -> type[ApiError]:
    if status == 429 or status >= 500:
        return UnavailableError
    return {404: NotFoundError, 409: ConflictError}.get(status, ApiError)
