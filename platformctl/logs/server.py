"""The HTTP server of the logs API: who may read what, pages and streams, and their limits."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from platformctl.clients.kubernetes import ApiError, KubernetesClient
from platformctl.jobs import view
from platformctl.jobs.indices import wrong_index
from platformctl.jobs.model import Target
from platformctl.jobs.targets import BACK_ENDS, OutputIn
from platformctl.logs import discovery
from platformctl.logs.config import LogsConfig
from platformctl.logs.files import Files
from platformctl.logs.frontproxy import Caller, FrontProxy, UnauthenticatedError
from platformctl.logs.reading import Reader
from platformctl.logs.sources import FileSource, ForbiddenError, NoOutputError, PodSource, Source, Watched
from platformctl.vocabulary import LOGS_API, LOGS_GROUP, job_path, log_path

_JOB = job_path("{namespace}", "{name}")
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_BASE = f"/apis/{LOGS_GROUP}"
# Matched against the path as sent, so that an escaped slash or dot-dot cannot change which Job is meant.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"(?=[a-z0-9.-]{{1,253}}/){_LABEL}(?:\.{_LABEL})*"
_LOG = log_path(f"{{namespace:{_LABEL}}}", f"{{name:{_NAME}}}")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}
_LOOK_SECONDS = 0.5
_HEADERS_SECONDS = 5.0
_MAX_NUMBER = 2**53

log = structlog.get_logger(__name__)

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequestError(Exception):
    """A parameter is wrong; the text says what it must be."""


class BusyError(Exception):
    """The allowed number of outputs is already being read."""


@dataclass(frozen=True)
class Parameters:
    """The requested part of an output. attempt: 0 for the last. index: None for the first."""

    offset: int = 0
    tail: int | None = None
    index: int | None = None
    attempt: int = 0
    follow: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Parameters":
        """Parse a request's query. Raises BadRequestError."""
        follow = query.get("follow", "false")
        if follow not in ("true", "false"):
            raise BadRequestError("follow must be true or false")
        if "offset" in query and "tailBytes" in query:
            raise BadRequestError("give offset or tailBytes, not both")
        tail, index = _number(query, "tailBytes"), _number(query, "index")
        return cls(
            _number(query, "offset") or 0, tail, index, _number(query, "attempt") or 0, follow == "true"
        )


class LogServer:
    """Answers requests. files: None where the shared home is not mounted."""

    def __init__(
        self, config: LogsConfig, client: KubernetesClient, proxy: FrontProxy, files: Files | None
    ) -> None:
        self._config = config
        self._client = client
        self._reader = Reader(client)
        self._proxy = proxy
        self._files = files
        self._reading: Counter[str] = Counter()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[_errors])
        app.router.add_get("/livez", _fine)
        app.router.add_get("/readyz", _fine)
        app.router.add_get("/apis", self._groups)
        app.router.add_get(_BASE, self._document(discovery.ONE_GROUP))
        app.router.add_get(LOGS_API, self._document(discovery.RESOURCES))
        for path, document in discovery.OPENAPI.items():
            app.router.add_get(path, self._document(document))
        app.router.add_get(_LOG, self._log)
        return app

    def _document(self, document: Mapping[str, Any]) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            self._proxy.caller(request)
            return web.json_response(document)

        return answer

    async def _groups(self, request: web.Request) -> web.Response:
        self._proxy.caller(request)
        accepted = request.headers.get("Accept", "").replace(" ", "").split(",")
        if any(item.startswith(discovery.AGGREGATED) for item in accepted):
            text = json.dumps(discovery.DISCOVERY)
            return web.Response(text=text, headers={"Content-Type": discovery.AGGREGATED})
        return web.json_response(discovery.GROUPS)

    async def _log(self, request: web.Request) -> web.StreamResponse:
        caller = self._proxy.caller(request)
        wanted = Parameters.of(request.query)
        path = _JOB.format_map(request.match_info)
        job = await self._reader.job(path)
        await self._authorize(caller, job)
        if trouble := wrong_index(job, wanted.index):
            raise NoOutputError(f"the Job {trouble}")
        watched = Watched(self._reader, path, job)
        attempt = wanted.attempt or watched.attempt
        with self._counted(caller.name):
            offset = wanted.offset
            if wanted.tail is not None:
                source = self._source(watched, attempt, wanted.index)
                offset = max(0, await source.size() - wanted.tail) if source else 0
            pieces = self._pieces(watched, attempt, wanted, offset)
            if wanted.follow:
                return await self._stream(request, pieces, offset)
            return await self._page(pieces, offset, lambda: watched.over(attempt))

    async def _authorize(self, caller: Caller, job: Mapping[str, Any]) -> None:
        """Allow the submitter, and everybody who may read the logs of all pods in the Job's namespace."""
        if caller.name == view.submitter(job):
            return
        spec = {
            "user": caller.name,
            "groups": list(caller.groups),
            "extra": {key: list(values) for key, values in caller.extra.items()},
            "resourceAttributes": {
                "verb": "get",
                "resource": "pods",
                "subresource": "log",
                "namespace": job["metadata"]["namespace"],
            },
        }
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        review = await self._client.create(_REVIEWS, {**kind, "spec": spec})
        if not review["status"].get("allowed"):
            raise ForbiddenError("only the submitter of a Job may read its output")

    async def _pieces(
        self, watched: Watched, attempt: int, wanted: Parameters, offset: int
    ) -> AsyncGenerator[bytes]:
        """The output. With follow, it first waits until the router has decided where the attempt runs."""
        while True:
            # Read before the source: an attempt that ends in between may still have run.
            ended = await watched.ended(attempt)
            source = self._source(watched, attempt, wanted.index)
            if source is not None:
                break
            if ended:
                raise NoOutputError(f"the Job never ran: {view.reason(watched.job)}")
            if not wanted.follow:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        async with aclosing(source.pieces(offset, wanted.follow)) as pieces:
            async for piece in pieces:
                yield piece

    def _source(self, watched: Watched, attempt: int, index: int | None) -> Source | None:
        """Where the output of an attempt is; None before the router has decided where it runs."""
        backend = watched.placed(attempt).get("backend")
        if not backend:
            return None
        if BACK_ENDS[Target(backend)].output is OutputIn.POD_LOG:
            return PodSource(self._client, self._reader, watched, attempt, index)
        # The router decides as whom the Job runs; the API server writes the submitter.
        person = self._config.person(str(watched.status.get("user", "")))
        if person is None or person.name != view.submitter(watched.job):
            raise NoOutputError("the Job's user is no longer a user of this site")
        if self._files is None:
            raise NoOutputError(
                f"the output is in {watched.placed(attempt).get('output') or 'a file'} of {person.name} on "
                "the hosts of Slurm; it cannot be shown here, because this site's Kubernetes hosts do not "
                "have the shared home"
            )
        return FileSource(self._files, watched, person.name, attempt, index)

    @contextmanager
    def _counted(self, user: str) -> Iterator[None]:
        if self._reading.total() >= self._config.streams:
            raise BusyError("too many outputs are being read at the moment")
        if self._reading[user] >= self._config.streams_per_user:
            raise BusyError(f"{user} is reading {self._reading[user]} outputs already")
        self._reading[user] += 1
        try:
            yield
        finally:
            self._reading[user] -= 1
            self._reading += Counter()

    async def _page(
        self, pieces: AsyncGenerator[bytes], offset: int, over: Callable[[], bool]
    ) -> web.Response:
        body, limit = bytearray(), self._config.page_bytes
        async with aclosing(pieces):
            async for piece in pieces:
                body += piece
                if len(body) > limit:
                    break
        complete = len(body) <= limit and over()
        del body[limit:]
        headers = {
            "Kfoundry-Offset": str(offset),
            "Kfoundry-Next-Offset": str(offset + len(body)),
            "Kfoundry-Complete": "true" if complete else "false",
        }
        return web.Response(body=bytes(body), content_type="text/plain", charset="utf-8", headers=headers)

    async def _stream(
        self, request: web.Request, pieces: AsyncGenerator[bytes], offset: int
    ) -> web.StreamResponse:
        """Stream the output. An error at the start is an HTTP error; a later one breaks the stream."""
        response = web.StreamResponse(headers={"Kfoundry-Offset": str(offset)})
        response.content_type, response.charset = "text/plain", "utf-8"
        left = self._config.stream_bytes
        async with aclosing(pieces):
            first = asyncio.ensure_future(anext(pieces, b""))
            try:
                await asyncio.wait({first}, timeout=_HEADERS_SECONDS)
                if first.done():
                    first.result()
                await response.prepare(request)
                piece = await first
                while piece and left > 0:
                    await response.write(piece[:left])
                    left -= len(piece)
                    piece = await anext(pieces, b"")
                await response.write_eof()
            except (ApiError, NoOutputError, ForbiddenError) as error:
                if not response.prepared:
                    raise
                log.warning("a stream broke", path=request.path, why=str(error))
                if request.transport:
                    request.transport.abort()
            finally:
                first.cancel()
                await asyncio.wait({first})
        return response


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns exceptions into Status objects, which kubectl shows."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _status(error.status, error.reason)
    except UnauthenticatedError as error:
        return _status(401, str(error))
    except ForbiddenError as error:
        return _status(403, str(error))
    except BadRequestError as error:
        return _status(400, str(error))
    except NoOutputError as error:
        return _status(404, str(error))
    except BusyError as error:
        return _status(429, str(error), {"Retry-After": "5"})
    except ApiError as error:
        return _status(error.code if error.code in (404, 429) else 503, error.message)


async def _fine(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _status(code: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "InternalError"),
        "code": code,
    }
    return web.json_response(document, status=code, headers=headers)


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= _MAX_NUMBER):
        raise BadRequestError(f"{name} must be a whole number from 0 to {_MAX_NUMBER}")
    return int(text)
