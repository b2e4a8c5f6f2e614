"""A stand-in for slurmrestd and slurmctld, for faults that the real ones cannot be asked to make.

It answers like slurmrestd 24.11 in the dialect v0.0.42; the same tests of the Slurm back end run against
the real one. A released job runs at once and ends when the test says so.

Faults: `away` (slurmctld does not answer), `max_jobs` (MaxJobCount), and what `fault` names for a request:
refused (HTTP 502, not carried out), lost (carried out, HTTP 502), twice (carried out twice), slow.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

DIALECT = "v0.0.42"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Job:
    """One job of the stand-in."""

    job_id: int
    user: str
    description: dict[str, Any]
    held: bool = True
    state: str = "PENDING"
    code: int = 0

    def record(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "name": self.description["name"],
            "comment": self.description["comment"],
            "user_name": self.user,
            "hold": self.held,
            "job_state": [self.state],
            "state_reason": "JobHeldUser" if self.held else "None",
            "exit_code": {"return_code": _number(self.code), "signal": {"id": {"set": False, "number": 0}}},
            "start_time": _number(0 if self.state == "PENDING" else 1_700_000_000),
            "end_time": _number(0 if self.state in ("PENDING", "RUNNING") else 1_700_000_060),
            "nodes": "" if self.state == "PENDING" else "node1",
            "standard_output": self.description["standard_output"].replace("%j", str(self.job_id)),
        }


@dataclass
class FakeSlurm:
    """State and faults. ran: tokens of the jobs that started, in order, one entry for each start."""

    jobs: dict[int, Job] = field(default_factory=dict)
    ended: list[Job] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    next_id: int = 1
    away: bool = False
    max_jobs: int = 10_000
    requests: int = 0
    fault: Callable[[str], str] = lambda _what: ""
    before: Callable[[int, str], None] = lambda _number, _what: None
    after: Callable[[int, str], None] = lambda _number, _what: None

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(middlewares=[self._faults])
        base = f"/slurm/{DIALECT}"
        app.router.add_get("/openapi/v3", self._openapi)
        app.router.add_post(f"{base}/job/submit", self._submit)
        app.router.add_get(f"{base}/job/{{id}}", self._job)
        app.router.add_post(f"{base}/job/{{id}}", self._update)
        app.router.add_delete(f"{base}/job/{{id}}", self._cancel)
        app.router.add_get(f"{base}/jobs/", self._jobs)
        app.router.add_get(f"{base}/jobs/state/", self._states)
        app.router.add_get(f"/slurmdb/{DIALECT}/job/{{id}}", self._accounted)
        return app

    def finish(self, job_id: int, code: int = 0) -> None:
        """End a running job."""
        job = self.jobs[job_id]
        job.state, job.code = ("FAILED" if code else "COMPLETED"), code

    def purge(self, job_id: int) -> None:
        """Forget an ended job, as slurmctld does after MinJobAge; accounting keeps it."""
        self.ended.append(self.jobs.pop(job_id))

    def lose(self, job_id: int) -> None:
        """Forget a job as a killed slurmctld does: its id is issued again, accounting knows nothing."""
        del self.jobs[job_id]
        self.next_id = min(self.next_id, job_id)

    def tokens(self, held: bool) -> list[str]:
        """Tokens of the unfinished jobs that are held, or not."""
        live = (job for job in self.jobs.values() if job.state in ("PENDING", "RUNNING"))
        return [job.description["comment"] for job in live if job.held is held]

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.away:
            return _error(500, -1, "Unspecified error")
        number, self.requests = self.requests, self.requests + 1
        what = f"{request.method} {request.path}"
        self.before(number, what)
        fault = self.fault(what)
        if fault == "slow":
            await asyncio.sleep(0.02)
        if fault == "refused":
            return web.Response(status=502, text="Bad Gateway")
        answer = await handler(request)
        if fault == "twice":
            answer = await handler(request)
        if fault == "lost":
            answer = web.Response(status=502, text="Bad Gateway")
        self.after(number, what)
        # A client that died in the meantime is noticed here, as it is by a real server.
        await asyncio.sleep(0)
        return answer

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.json_response({"paths": {f"/slurm/{DIALECT}/job/submit": {}}})

    async def _submit(self, request: web.Request) -> web.Response:
        description = (await request.json())["job"]
        if description.get("partition") == "nowhere":
            return _error(500, 2000, "Invalid partition name specified")
        if len(self.jobs) >= self.max_jobs:
            return _error(500, 11, "Resource temporarily unavailable")
        while self.next_id in self.jobs:
            self.next_id += 1
        job = Job(self.next_id, request.headers["X-SLURM-USER-NAME"], description, description["hold"])
        self.jobs[job.job_id] = job
        self.next_id += 1
        return web.json_response({"job_id": job.job_id, "errors": [], "warnings": []})

    async def _job(self, request: web.Request) -> web.Response:
        job = self.jobs.get(int(request.match_info["id"]))
        if job is None:
            return _error(500, 2017, "Invalid job id specified")
        return web.json_response({"jobs": [job.record()], "errors": []})

    async def _update(self, request: web.Request) -> web.Response:
        job = self.jobs.get(int(request.match_info["id"]))
        if job is None:
            return _error(500, 2017, "Invalid job id specified")
        if job.user != request.headers["X-SLURM-USER-NAME"]:
            return _error(500, 2010, "Invalid user id")
        if (await request.json()).get("hold") is False and job.held:
            job.held, job.state = False, "RUNNING"
            self.ran.append(job.description["comment"])
        return web.json_response({"errors": []})

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self.jobs.get(int(request.match_info["id"]))
        code, words = 0, ""
        if job is None:
            code, words = 2017, "Invalid job id specified"
        elif job.user != request.headers["X-SLURM-USER-NAME"]:
            code, words = 2002, "Access/permission denied"
        elif job.state not in ("PENDING", "RUNNING"):
            code, words = 2021, "Job/step already completing or completed"
        else:
            job.held, job.state = False, "CANCELLED"
        verdict = [{"error": {"code": code, "string": words}}] if code else []
        return web.json_response({"status": verdict, "errors": []})

    async def _jobs(self, _request: web.Request) -> web.Response:
        return web.json_response({"jobs": [job.record() for job in self.jobs.values()], "errors": []})

    async def _states(self, _request: web.Request) -> web.Response:
        states = [{"job_id": job.job_id, "state": [job.state]} for job in self.jobs.values()]
        return web.json_response({"jobs": states, "errors": []})

    async def _accounted(self, request: web.Request) -> web.Response:
        job_id = int(request.match_info["id"])
        rows = [_row(job) for job in [*self.ended, *self.jobs.values()] if job.job_id == job_id]
        return web.json_response({"jobs": rows, "errors": []})


def _row(job: Job) -> dict[str, Any]:
    record = job.record()
    return {
        "comment": {"job": record["comment"]},
        "state": {"current": record["job_state"]},
        "exit_code": record["exit_code"],
        "time": {"start": 1_700_000_000, "end": 1_700_000_060},
        "nodes": record["nodes"],
    }


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": value}


def _error(status: int, number: int, words: str) -> web.Response:
    return web.json_response({"errors": [{"error_number": number, "error": words}]}, status=status)
