"""A client of slurmrestd: tokens for one user at a time, the dialect negotiated, errors typed.

Protocol: the OpenAPI document that slurmrestd serves at /openapi/v3 (Slurm 22.05 and later). Slurm's
own error numbers are those of its slurm_errno.h. Job records are returned as slurmrestd writes them;
`number` reads its {"set": true, "number": N} values.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import jwt

TOKEN_SECONDS = 600
_RENEW_BEFORE = 120
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_UNKNOWN_JOB = 2017
_ALREADY_DONE = 2021
_NO_CONTROLLER = -1
# 11 and 2007: slurmctld cannot take the job right now (MaxJobCount, rate limits).
_TRY_AGAIN = frozenset({11, 2007})


class SlurmError(Exception):
    """Slurm refused a request: its error number (0 when it gave none) and its words."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{message} (Slurm error {number})" if number else message)
        self.number = number
        self.message = message


class SlurmUnavailableError(SlurmError):
    """No usable answer from slurmrestd or slurmctld. The request may have worked."""


class UnknownJobError(SlurmError):
    """slurmctld knows no job of that id (2017): never submitted, lost, or purged after MinJobAge."""


class TokenMinter:
    """Short-lived tokens for Slurm's auth/jwt (HS256; claims sun, iat, exp), kept until they grow old."""

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

    dialects: the API versions the caller can speak, best first.
    """

    def __init__(
        self,
        address: str,
        minter: TokenMinter,
        dialects: Sequence[str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._minter = minter
        self._dialects = tuple(dialects)
        self._tls = tls
        self._dialect = ""
        self._negotiation = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def dialect(self, user: str) -> str:
        """The best version both sides speak, asked once."""
        async with self._negotiation:
            if not self._dialect:
                document = await self._request("GET", "/openapi/v3", user)
                paths = document.get("paths", {})
                served = {dialect for dialect in self._dialects if f"/slurm/{dialect}/job/submit" in paths}
                if not served:
                    raise SlurmUnavailableError(0, f"slurmrestd speaks none of {', '.join(self._dialects)}")
                self._dialect = next(dialect for dialect in self._dialects if dialect in served)
        return self._dialect

    async def submit(self, user: str, body: dict[str, Any]) -> int:
        """Submit a job as `user`; returns Slurm's id. The body is in the dialect that `dialect` named."""
        answer = await self._slurm("POST", "job/submit", user, body)
        job_id = answer.get("job_id") or (answer.get("result") or {}).get("job_id")
        if not isinstance(job_id, int) or job_id <= 0:
            raise SlurmUnavailableError(0, "slurmrestd accepted a job without telling its id")
        return job_id

    async def job(self, user: str, job_id: int) -> dict[str, Any]:
        """One job's record; UnknownJobError when slurmctld has none."""
        answer = await self._slurm("GET", f"job/{job_id}", user)
        for record in answer.get("jobs", []):
            if record.get("job_id") == job_id:
                return dict(record)
        raise UnknownJobError(_UNKNOWN_JOB, f"no job {job_id}")

    async def jobs(self, user: str) -> list[dict[str, Any]]:
        """All jobs' records: about 8 kB each, so for start-up and audits."""
        return list((await self._slurm("GET", "jobs/", user)).get("jobs", []))

    async def states(self, user: str) -> dict[int, str]:
        """The state (`PENDING`, `RUNNING`, ...) of every job slurmctld has, in about 80 bytes each."""
        answer = await self._slurm("GET", "jobs/state/", user)
        return {record["job_id"]: state_name(record.get("state")) for record in answer.get("jobs", [])}

    async def update(self, user: str, job_id: int, fields: dict[str, Any]) -> None:
        """Change a job."""
        await self._slurm("POST", f"job/{job_id}", user, fields)

    async def cancel(self, user: str, job_id: int) -> None:
        """Cancel a job; one that is done or unknown is fine."""
        try:
            answer = await self._slurm("DELETE", f"job/{job_id}", user)
        except UnknownJobError:
            return
        # The verdict on each job is in the body of an HTTP 200.
        for verdict in answer.get("status") or []:
            error = verdict.get("error") or {}
            if error.get("code") and error["code"] not in (_UNKNOWN_JOB, _ALREADY_DONE):
                raise SlurmError(error["code"], str(error.get("string", "not cancelled")))

    async def accounted(self, user: str, job_id: int) -> list[dict[str, Any]]:
        """What the accounting database holds under an id; ids are reused, so there may be several."""
        path = f"/slurmdb/{await self.dialect(user)}/job/{job_id}"
        return list((await self._request("GET", path, user)).get("jobs", []))

    async def _slurm(
        self, method: str, path: str, user: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return await self._request(method, f"/slurm/{await self.dialect(user)}/{path}", user, body)

    async def _request(
        self, method: str, path: str, user: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": self._minter.token(user)}
        try:
            async with self._session.request(
                method,
                self._address + path,
                json=body,
                headers=headers,
                ssl=self._tls if self._tls is not None else True,
            ) as response:
                text, status = await response.text(), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlurmUnavailableError(0, f"slurmrestd is away: {type(error).__name__}: {error}") from error
        return _checked(status, text)


def _checked(status: int, text: str) -> dict[str, Any]:
    """The answer's document, or the error it stands for."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise SlurmUnavailableError(0, f"slurmrestd answered HTTP {status}: {text[:200].strip()}")
    if status < 400:
        # A 200 with errors means done with a remark, such as a job that waits for its association.
        return document
    errors = [error for error in document.get("errors") or [] if isinstance(error, dict)]
    number = next((error["error_number"] for error in errors if error.get("error_number")), 0)
    if number == _NO_CONTROLLER:
        raise SlurmUnavailableError(0, "slurmctld is away")
    words = "; ".join(
        dict.fromkeys(str(error.get("error") or error.get("description") or "") for error in errors)
    )
    raise _error_type(status, number)(number, words or f"slurmrestd answered HTTP {status}")


def _error_type(status: int, number: int) -> type[SlurmError]:
    """2000s and 7000s are Slurm's verdicts, 9000s its parser's; the rest is about reaching it."""
    if number == _UNKNOWN_JOB:
        return UnknownJobError
    if number in _TRY_AGAIN or status in (429, 502, 503, 504):
        return SlurmUnavailableError
    verdict = 2000 <= number < 3000 or 7000 <= number < 8000 or 9000 <= number < 10000
    if verdict or (number == 0 and status < 500):
        return SlurmError
    return SlurmUnavailableError


def number(value: Any) -> int | None:
    """A number as a plain integer or as {"set": ..., "infinite": ..., "number": ...}; None when not set."""
    if isinstance(value, dict):
        return value.get("number") if value.get("set") and not value.get("infinite") else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def state_name(value: Any) -> str:
    """A job's base state: the dialects give a word, or a list of the state and its flags."""
    if isinstance(value, list):
        return str(value[0]) if value else "UNKNOWN"
    return str(value or "UNKNOWN")
