"""A small asynchronous client of the Kubernetes API: objects are plain dictionaries, errors are typed.

Paths are the API's own (`/apis/batch/v1/namespaces/default/jobs/x`). It covers what the controllers
and the charts stage call. The protocol of lists and watches is that of
https://kubernetes.io/docs/reference/using-api/api-concepts/ (resource versions, bookmarks, chunks).
"""

import base64
import os
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from platformctl.clients import kubeconfig
from platformctl.clients.nesting import shallow
from platformctl.errors import ExitCode, PlatformError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FIELD_MANAGER = "platformctl"
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
# A watch may be silent until its end, so TCP keepalive detects a server that is gone: seconds of silence
# before the first probe, seconds between probes, and the number of probes.
_WATCH_GRACE = 30
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
# A log may be silent for a long time.
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=900)
# The number of objects in a page is adjusted so that it has about this many bytes. Nobody knows how large the
# next objects are, so a page of several objects that is larger than the second number is not read to its end.
_PAGE_BYTES, _MOST_PAGE_BYTES = 2 * 2**20, 4 * 2**20
_FIRST_PAGE, _MAX_PAGE, _GROWTH, _SHRINKAGE = 5, 1000, 4, 8
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_TOKEN_SECONDS = 10.0
# Levels of nesting. orjson accepts 1,024; no object of the API needs a tenth of this.
_DEEPEST = 500


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
    """An object of that name exists (409 on create)."""


class ConflictError(ApiError):
    """The object changed since it was read (409 on update)."""


class ExpiredError(ApiError):
    """The resourceVersion of a watch, or the rest of a list, is no longer known (410): list again."""


class _TooLongError(Exception):
    """An answer has more bytes than its caller wants to hold."""


class UnavailableError(ApiError):
    """No usable answer: unreachable, timed out, overloaded (429) or failing (5xx).

    The request may have been carried out.
    """


@dataclass(frozen=True)
class Connection:
    """The address of the API server, and the client's credentials.

    token_file is read again regularly, because its token rotates. server_name is the name expected in the
    server's certificate, if it differs from the one in the address.
    """

    server: str
    tls: ssl.SSLContext | None = None
    token: str = ""
    token_file: Path | None = None
    server_name: str | None = None

    def bearer(self) -> str:
        """The current token; empty if the client has a certificate instead."""
        return self.token_file.read_text().strip() if self.token_file else self.token


def in_cluster(host: str, port: str, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The connection of a pod with a service account; host and port from KUBERNETES_SERVICE_*."""
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Connection(f"https://{address}:{port}", tls, token_file=folder / "token")


def from_environment() -> Connection:
    """The pod's own cluster; outside a pod, the cluster of KUBECONFIG."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return in_cluster(host, port) if host else from_kubeconfig(Path(os.environ["KUBECONFIG"]))


def from_kubeconfig(path: Path) -> Connection:
    """The connection of the current context of a file. ValueError: it has none that can be used."""
    return connect(kubeconfig.read([path]))


def from_document(document: kubeconfig.Document) -> Connection:
    """The connection of the current context of a kubeconfig that is not in a file.

    PlatformError: its credentials or certificates cannot be used.
    """
    try:
        return connect(kubeconfig.entries(document))
    except (ValueError, OSError) as error:
        what = f"the credentials for the Kubernetes API cannot be used: {error}"
        next_step = "make the kubeconfig again, or correct the one that kubernetes_kubeconfig names"
        raise PlatformError(what, next=next_step, code=ExitCode.INVALID) from error


def connect(entries: kubeconfig.Entries) -> Connection:
    """The connection of a kubeconfig's cluster and user, by certificate, token or credential program."""
    cluster, user = entries.cluster, kubeconfig.credentials(entries.user)
    tls = None
    if cluster["server"].startswith("https:"):
        tls = _tls(cluster, user)
    token_file = Path(user["tokenFile"]) if user.get("tokenFile") else None
    return Connection(
        cluster["server"].rstrip("/"), tls, user.get("token", ""), token_file, cluster.get("tls-server-name")
    )


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
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


def _data(entry: Mapping[str, Any], name: str) -> bytes:
    """A kubeconfig value: inline (PEM under -pem, base64 under -data), or read from the named file."""
    if entry.get(f"{name}-pem"):
        return str(entry[f"{name}-pem"]).encode()
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return Path(entry[name]).read_bytes() if entry.get(name) else b""


class KubernetesClient:
    """Requests to one API server over persistent connections. Use as an asynchronous context manager.

    traces: aiohttp's hooks, for callers that count requests.
    """

    def __init__(self, connection: Connection, traces: Sequence[aiohttp.TraceConfig] = ()) -> None:
        self._connection = connection
        self._traces = list(traces)
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._token_until = 0.0

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(socket_factory=_socket)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, trace_configs=self._traces
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object, or a list object."""
        return await self._request("GET", path, query)

    async def metadata(self, path: str) -> dict[str, Any]:
        """An object with its metadata only (PartialObjectMetadata), however large the rest of it is."""
        return _document(await self._text("GET", path, {}, accept=_METADATA_ONLY))

    async def list_pages(self, path: str, **query: str) -> AsyncGenerator[dict[str, Any]]:
        """A collection in list objects of a bounded size, all of the same moment.

        No more than one page is in memory here, whatever is stored: some MiB, or one object.
        ExpiredError: reading took so long that the rest is no longer known.
        """
        size, continue_token = _FIRST_PAGE, ""
        while True:
            where = {"continue": continue_token} if continue_token else {}
            asked = {**query, **where, "limit": str(size)}
            try:
                text = await self._text("GET", path, asked, most=_MOST_PAGE_BYTES if size > 1 else None)
            except _TooLongError:
                size = max(1, size // _SHRINKAGE)
                continue
            size = max(1, min(_MAX_PAGE, size * _GROWTH, size * _PAGE_BYTES // len(text)))
            page = _document(text)
            del text
            continue_token = page["metadata"].get("continue", "")
            yield page
            del page
            if not continue_token:
                return

    async def watch(
        self, path: str, version: str, seconds: int, **query: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """The events of a collection after a resourceVersion, including bookmarks, for this many seconds.

        ExpiredError: the version is too old. UnavailableError: the stream broke. Close it when done.
        """
        options = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        asked = {**query, **options, "resourceVersion": version}
        limit = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=seconds + _WATCH_GRACE)
        async with self._response("GET", path, asked, timeout=limit) as response:
            if response.status >= 400:
                raise _error(response.status, await response.read())
            async for line in lines(response.content):
                event = _document(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise _error(int(status.get("code") or 500), orjson.dumps(status))
                yield event

    @asynccontextmanager
    async def answer(self, path: str, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is not an object, such as a log, with its headers; its body is a stream."""
        async with self._response("GET", path, query, timeout=_STREAM_TIMEOUT) as response:
            if response.status >= 400:
                raise _error(response.status, await response.read())
            yield response

    async def stream(self, path: str, **query: str) -> AsyncGenerator[bytes]:
        """The body of such an answer in pieces as they arrive. Close it when done."""
        async with self.answer(path, **query) as response:
            async for piece in response.content.iter_any():
                yield piece

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
        """Server-side apply: create the object, or set our fields of it to the given values."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    async def delete(self, path: str, uid: str = "", propagation: str = "Background") -> None:
        """Delete an object, if it exists; with uid, only that one and not a later one of the same name."""
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
        return _document(await self._text(method, path, query, body, content_type))

    async def _text(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        most: int | None = None,
        accept: str = "application/json",
    ) -> bytes:
        async with self._response(method, path, query, body, content_type, accept) as response:
            text = await (response.read() if most is None else _read(response, most))
        if response.status >= 400:
            raise _error(response.status, text)
        return text

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: aiohttp.ClientTimeout = _TIMEOUT,  # noqa: ASYNC109  (passed on to aiohttp)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is being read; every failure of the connection becomes an UnavailableError."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        try:
            async with self._session.request(
                method,
                self._connection.server + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers=self._headers(content_type, accept),
                server_hostname=self._connection.server_name,
                ssl=self._connection.tls if self._connection.tls is not None else True,
                timeout=timeout,
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(0, "Unreachable", f"{type(error).__name__}: {error}") from error

    def _headers(self, content_type: str, accept: str) -> dict[str, str]:
        now = time.monotonic()
        if now >= self._token_until:
            self._token, self._token_until = self._connection.bearer(), now + _TOKEN_SECONDS
        headers = {"Content-Type": content_type, "Accept": accept}
        return headers | {"Authorization": f"Bearer {self._token}"} if self._token else headers


async def lines(stream: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The complete lines of a stream, of any length; an incomplete line at its end is dropped."""
    parts: list[bytes] = []
    async for chunk in stream.iter_any():
        first, *more = chunk.split(b"\n")
        parts.append(first)
        for part in more:
            yield b"".join(parts)
            parts = [part]


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, if it has at most this many bytes. Otherwise the rest is not read."""
    parts: list[bytes] = []
    length = 0
    async for piece in response.content.iter_any():
        parts.append(piece)
        length += len(piece)
        if length > most:
            raise _TooLongError
    return b"".join(parts)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices when the other side is gone."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _document(text: bytes) -> dict[str, Any]:
    """The object in an answer. A value that a user nested too deeply is replaced by null."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = orjson.loads(shallow(text, _DEEPEST))
        except orjson.JSONDecodeError as error:
            raise UnavailableError(0, "Unreadable", f"the answer is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnavailableError(0, "Unreadable", "the answer is not a JSON object")
    return document


def _error(status: int, text: bytes) -> ApiError:
    try:
        document = _document(text)
    except UnavailableError:
        document = {}
    words = text[:500].decode(errors="replace")
    return _error_type(status)(status, str(document.get("reason", "")), str(document.get("message", words)))


def _error_type(status: int) -> type[ApiError]:
    if status == 429 or status >= 500:
        return UnavailableError
    return {404: NotFoundError, 409: ConflictError, 410: ExpiredError}.get(status, ApiError)
