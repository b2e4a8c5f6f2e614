"""A client of slurmrestd with a token for each user, a negotiated API version (dialect) and typed errors.

Protocol: the OpenAPI document that slurmrestd serves at /openapi/v3 (Slurm 22.05 and later). Slurm's
own error numbers are those of its slurm_errno.h. Job records are returned as slurmrestd writes them;
`number` reads its {"set": true, "number": N} values.

slurmrestd 23.11 and later serves several dialects. If it serves only dialects that are later than all that
the caller knows, one of these is used, provided that its schema of a job has every field of JOB_FIELDS.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import jwt
import orjson

TOKEN_SECONDS = 600
_RENEW_BEFORE = 120
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_UNKNOWN_JOB = 2017
_ALREADY_DONE = 2021
_NO_CONTROLLER = -1
_STANDBY = frozenset({2027, 2131})
# slurmdbd is unreachable, or lost the connection to its database.
_NO_DATABASE = frozenset({7000, 7008})
# EAGAIN and 2007: MaxJobCount is reached; 1804: the user's rate limit; 2105: submissions are disabled;
# 4034: a slurmd is too busy.
_BUSY: dict[int, str] = {
    11: "it holds as many jobs as it may (MaxJobCount)",
    1804: "it has had too many requests (its rate limit)",
    2007: "it holds as many jobs as it may (MaxJobCount)",
    2105: "submissions are switched off by an administrator",
    4034: "a node is too busy",
}
_VERSION = re.compile(r"/slurm/(v\d+\.\d+\.\d+)/job/submit")

# The fields that a translated job may have: a dialect without one of these cannot be used.
JOB_FIELDS = frozenset(
    {
        *("name", "comment", "hold", "requeue", "environment", "current_working_directory"),
        *("standard_output", "partition", "account", "qos", "array", "nodes", "tasks", "time_limit"),
        *("cpus_per_task", "memory_per_cpu", "memory_per_node", "nice", "tasks_per_node"),
        *("tres_per_node", "tres_per_task"),
    }
)


class SlurmError(Exception):
    """Slurm refused a request: its error number (0 if it gave none) and its message."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{message} (Slurm error {number})" if number else message)
        self.number = number
        self.message = message


class SlurmUnavailableError(SlurmError):
    """No usable answer from slurmrestd or slurmctld. The request may have worked."""


class SlurmBusyError(SlurmUnavailableError):
    """Slurm works but accepts no more at the moment; nothing was done. The text says what is full."""


class UnknownJobError(SlurmError):
    """slurmctld has no job with that id (2017): never submitted, lost, or purged after MinJobAge."""


class TokenMinter:
    """Short-lived tokens for Slurm's auth/jwt (HS256; claims sun, iat, exp), cached until they are old."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._tokens: dict[str, tuple[float, str]] = {}

    def token(self, user: str) -> str:
        """A token of at most TOKEN_SECONDS that lets its bearer act as `user`."""
        now = time.time()
        expires, token = self._tokens.get(user, (0.0, ""))
        if expires - now < _RENEW_BEFORE:
            expires = now + TOKEN_SECONDS
            token = jwt.encode(
                {"sun": user, "iat": int(now), "exp": int(expires)}, self._key, algorithm="HS256"
            )
            self._tokens[user] = (expires, token)
        return token


class SlurmRestClient:
    """Requests to one slurmrestd. Use as an asynchronous context manager.

    dialects: the API versions that the caller supports, best first. traces: aiohttp's hooks, to count
    requests.
    """

    def __init__(
        self,
        address: str,
        minter: TokenMinter,
        dialects: Sequence[str],
        tls: ssl.SSLContext | None = None,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        self._address = address.rstrip("/")
        self._minter = minter
        self._dialects = tuple(dialects)
        self._tls = tls
        self._traces = list(traces)
        self._dialect = ""
        self._lists_states = True
        self._accounts = True
        self._negotiation = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trace_configs=self._traces)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def dialect(self, user: str) -> str:
        """The best version that both sides support; requested once, and again if it is no longer served."""
        async with self._negotiation:
            if not self._dialect:
                document = await self._request("GET", "/openapi/v3", user)
                self._dialect = best(document, self._dialects)
                self._lists_states = f"/slurm/{self._dialect}/jobs/state/" in document["paths"]
                self._accounts = f"/slurmdb/{self._dialect}/job/{{job_id}}" in document["paths"]
        return self._dialect

    async def cluster(self, user: str) -> str:
        """The name of Slurm's cluster; empty if slurmrestd does not say it (v0.0.38)."""
        meta = (await self._slurm("GET", "ping/", user)).get("meta") or {}
        return str((meta.get("slurm") or {}).get("cluster") or "")

    async def submit(self, user: str, body: dict[str, Any]) -> int:
        """Submit a job as `user`; returns Slurm's id. The body is in the dialect that `dialect` named."""
        answer = await self._slurm("POST", "job/submit", user, body)
        job_id = answer.get("job_id") or (answer.get("result") or {}).get("job_id")
        if not isinstance(job_id, int) or job_id <= 0:
            raise SlurmUnavailableError(0, "slurmrestd accepted a job but returned no id")
        return job_id

    async def records(self, user: str, job_id: int) -> list[dict[str, Any]]:
        """A job's record; UnknownJobError if slurmctld has none.

        Of an array those of its elements; of a heterogeneous job those of its components, in their order.
        The waiting elements of an array share one record (array_task_string names them). Each of the others
        has an id of its own, and the array's id in array_job_id.
        """
        answer = await self._slurm("GET", f"job/{job_id}", user)
        matching = [
            dict(record)
            for record in answer.get("jobs", [])
            if job_id
            in (record.get("job_id"), number(record.get("array_job_id")), number(record.get("het_job_id")))
        ]
        if not matching:
            raise UnknownJobError(_UNKNOWN_JOB, f"no job {job_id}")
        return sorted(matching, key=lambda record: number(record.get("het_job_offset")) or 0)

    async def jobs(self, user: str) -> list[dict[str, Any]]:
        """All jobs' records: about 8 kB each, so not for many."""
        return list((await self._slurm("GET", "jobs/", user)).get("jobs", []))

    async def states(self, user: str, job_id: int | None = None) -> dict[str, str]:
        """The states (`PENDING`, `COMPLETED,COMPLETING`) of all jobs, or of one array; 80 bytes each.

        The keys are `N`, or `N_INDEX` for each element of an array. N is the element's own id; only for
        waiting elements it is the array's id.
        """
        if not self._lists_states:
            return states_of(await self.jobs(user), job_id)
        query = "" if job_id is None else f"?job_id={job_id}"
        answer = await self._slurm("GET", f"jobs/state/{query}", user)
        # A component of a heterogeneous job is `N+OFFSET`.
        return {
            str(record["job_id"]).partition("+")[0]: states(record.get("state"))
            for record in answer.get("jobs", [])
        }

    async def nodes(self, user: str) -> list[dict[str, Any]]:
        """All nodes' records: about 2 kB each."""
        return list((await self._slurm("GET", "nodes/", user)).get("nodes", []))

    async def partitions(self, user: str) -> list[dict[str, Any]]:
        """All partitions' records."""
        return list((await self._slurm("GET", "partitions/", user)).get("partitions", []))

    async def update(self, user: str, job_id: int, fields: dict[str, Any]) -> None:
        """Change a job."""
        await self._slurm("POST", f"job/{job_id}", user, fields)

    async def cancel(self, user: str, job_id: int) -> None:
        """Cancel a job; no error if it has ended or is unknown."""
        try:
            answer = await self._slurm("DELETE", f"job/{job_id}", user)
        except UnknownJobError:
            return
        # The result for each job is in the body of an HTTP 200.
        for verdict in answer.get("status") or []:
            error = verdict.get("error") or {}
            if error.get("code") and error["code"] not in (_UNKNOWN_JOB, _ALREADY_DONE):
                raise SlurmError(error["code"], str(error.get("string", "not cancelled")))

    async def accounted(self, user: str, job_id: int) -> list[dict[str, Any]]:
        """The accounting database's rows for an id; ids are reused, so there may be several.

        Empty if slurmrestd serves no accounting.
        """
        await self.dialect(user)
        if not self._accounts:
            return []
        path = f"/slurmdb/{await self.dialect(user)}/job/{job_id}"
        return list((await self._request("GET", path, user)).get("jobs", []))

    async def associations(self, user: str, name: str, account: str) -> list[dict[str, Any]]:
        """The accounting database's limits of a user in an account."""
        path = f"/slurmdb/{await self.dialect(user)}/associations/?user={name}&account={account}"
        return list((await self._request("GET", path, user)).get("associations", []))

    async def fair_shares(self, user: str) -> dict[tuple[str, str], float]:
        """The fair-share factors by account and user, from 1 to 0; empty without multifactor priority.

        slurmrestd 24.11 ignores its filter by user: the answer has 6 kB for each association.
        """
        answer = await self._slurm("GET", "shares/", user)
        found = {}
        for share in (answer.get("shares") or {}).get("shares") or []:
            factor = (share.get("fairshare") or {}).get("factor")
            value = factor.get("number") if isinstance(factor, dict) else factor
            if "USER" in (share.get("type") or []) and value is not None:
                found[str(share.get("parent")), str(share.get("name"))] = float(value)
        return found

    async def _slurm(
        self, method: str, path: str, user: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return await self._request(method, f"/slurm/{await self.dialect(user)}/{path}", user, body)

    async def _request(
        self, method: str, path: str, user: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {
            "X-SLURM-USER-NAME": user,
            "X-SLURM-USER-TOKEN": self._minter.token(user),
            "Content-Type": "application/json",
        }
        try:
            async with self._session.request(
                method,
                self._address + path,
                data=None if body is None else orjson.dumps(body),
                headers=headers,
                ssl=self._tls if self._tls is not None else True,
            ) as response:
                text, status = await response.read(), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlurmUnavailableError(0, f"slurmrestd is away: {type(error).__name__}: {error}") from error
        if status == 404:
            # slurmrestd was replaced by a version that does not serve the dialect.
            self._dialect = ""
        return checked(status, text)


def best(document: Mapping[str, Any], known: Sequence[str]) -> str:
    """The dialect to use, from slurmrestd's OpenAPI document."""
    served = {match[1] for path in document.get("paths", {}) if (match := _VERSION.fullmatch(path))}
    for dialect in known:
        if dialect in served:
            return dialect
    newest = max((_order(dialect) for dialect in known), default=())
    for dialect in sorted(served, key=_order):
        if _order(dialect) > newest and _job_fields(document, dialect) >= JOB_FIELDS:
            return dialect
    ours, theirs = ", ".join(known), ", ".join(sorted(served, key=_order)) or "none"
    raise SlurmUnavailableError(0, f"slurmrestd serves the API versions {theirs}, and none of {ours}")


def _order(dialect: str) -> tuple[int, ...]:
    return tuple(int(part) for part in dialect[1:].split("."))


def _job_fields(document: Mapping[str, Any], dialect: str) -> frozenset[str]:
    """The fields of a job that can be submitted; empty if the document does not list them."""
    try:
        operation = document["paths"][f"/slurm/{dialect}/job/submit"]["post"]
        request = _resolved(document, operation["requestBody"]["content"]["application/json"]["schema"])
        return frozenset(_resolved(document, request["properties"]["job"])["properties"])
    except (KeyError, TypeError):
        return frozenset()


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, or the one it refers to (`#/components/schemas/NAME`)."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def states_of(records: Sequence[dict[str, Any]], job_id: int | None) -> dict[str, str]:
    """States by id as from /jobs/state, for a slurmrestd that does not have it (before 24.05)."""
    by_id = {}
    for record in records:
        array = number(record.get("array_job_id"))
        if job_id is not None and job_id not in (record["job_id"], array):
            continue
        index = number(record.get("array_task_id"))
        key = str(record["job_id"]) if not array else f"{record['job_id']}_{'*' if index is None else index}"
        by_id[key] = states(record.get("job_state"))
    return by_id


def checked(status: int, text: bytes) -> dict[str, Any]:
    """The document of an answer; raises the error that the answer reports."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        words = text[:200].decode(errors="replace").strip()
        error = SlurmBusyError if status == 429 else SlurmUnavailableError
        raise error(0, f"slurmrestd answered HTTP {status}: {words}")
    if status < 400:
        # A 200 with errors means success with a warning, such as a job that waits for its association.
        return document
    errors = [error for error in document.get("errors") or [] if isinstance(error, dict)]
    number = next((error["error_number"] for error in errors if error.get("error_number")), 0)
    if number == _NO_CONTROLLER:
        raise SlurmUnavailableError(0, "slurmctld is away")
    words = "; ".join(
        dict.fromkeys(str(error.get("error") or error.get("description") or "") for error in errors)
    )
    if number in _BUSY:
        raise SlurmBusyError(number, _BUSY[number])
    raise _error_type(status, number)(number, words or f"slurmrestd answered HTTP {status}")


def _error_type(status: int, number: int) -> type[SlurmError]:
    """2000s and 7000s are mostly refusals by Slurm, 9000s by its parser; other numbers mean no answer."""
    if number == _UNKNOWN_JOB:
        return UnknownJobError
    if status == 429:
        return SlurmBusyError
    if number in _STANDBY | _NO_DATABASE or status in (502, 503, 504):
        return SlurmUnavailableError
    verdict = 2000 <= number < 3000 or 7000 <= number < 8000 or 9000 <= number < 10000
    if verdict or (number == 0 and status < 500):
        return SlurmError
    return SlurmUnavailableError


def number(value: Any) -> int | None:
    """A number from a plain integer or {"set": ..., "infinite": ..., "number": ...}; None if not set."""
    if isinstance(value, dict):
        return value.get("number") if value.get("set") and not value.get("infinite") else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def state_name(value: Any) -> str:
    """A job's base state: depending on the dialect, from a word or a list of the state and its flags."""
    if isinstance(value, list):
        return str(value[0]) if value else "UNKNOWN"
    return str(value or "UNKNOWN")


def states(value: Any) -> str:
    """A job's base state and its flags, as one word with commas: `COMPLETED,COMPLETING`."""
    return ",".join(value) if isinstance(value, list) else str(value or "")
