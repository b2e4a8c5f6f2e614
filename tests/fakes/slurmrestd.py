"""A stand-in for slurmrestd and slurmctld, for faults that the real ones cannot be asked to make.

It answers like slurmrestd 24.11 in the dialect v0.0.42; the same tests of the Slurm back end run against
the real one. A released job runs at once and ends when the test says so.

Faults: `away` (slurmctld does not answer), `max_jobs` (MaxJobCount), and what `fault` names for a request:
refused (HTTP 502, not carried out), lost (carried out, HTTP 502), twice (carried out twice), slow, and
killed (slurmctld answers, is killed, and comes back without the job that was submitted or changed).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from platformctl.jobs.array import parse_array

DIALECT = "v0.0.42"
RESTART_SECONDS = 0.08

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
    began: bool = True
    array: int = 0
    indices: tuple[int, ...] = ()

    @property
    def keys(self) -> list[str]:
        """What /jobs/state calls it: an element of an array by its own id and its index."""
        return [f"{self.job_id}_{index}" for index in self.indices] or [str(self.job_id)]

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
            "nodes": "" if self.state == "PENDING" or not self.began else "node1",
            "standard_output": self.description["standard_output"].replace("%j", str(self.job_id)),
            "cpus": _number(1),
            "tres_alloc_str": "" if self.state == "PENDING" or not self.began else "cpu=1,mem=100M,node=1",
            "partition": "main",
            "array_job_id": _number(self.array),
            "array_task_id": _number(self.indices[0]) if self._single else {"set": False, "number": 0},
            "array_task_string": "" if self._single else ",".join(map(str, self.indices)),
        }

    @property
    def _single(self) -> bool:
        """Whether it is one element of an array, and has been split off."""
        return bool(self.array) and (self.state != "PENDING" or self.job_id != self.array)


@dataclass
class FakeSlurm:
    """State and faults. ran: tokens of the jobs that started, in order, one entry for each start.

    asked: how many requests came; requests: how many of them slurmctld was there for.
    """

    jobs: dict[int, Job] = field(default_factory=dict)
    ended: list[Job] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    next_id: int = 1
    newest: int = 0
    deaths: int = 0
    _restarts: int = 0
    away: bool = False
    database_away: bool = False
    max_jobs: int = 10_000
    asked: int = 0
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
        app.router.add_get(f"{base}/nodes/", self._nodes)
        app.router.add_get(f"{base}/partitions/", self._partitions)
        app.router.add_get(f"/slurmdb/{DIALECT}/job/{{id}}", self._accounted)
        return app

    def finish(self, job_id: int, code: int = 0) -> None:
        """End a running job."""
        job = self.jobs[job_id]
        job.state, job.code = ("FAILED" if code else "COMPLETED"), code

    def finish_element(self, array: int, index: int, code: int = 0) -> None:
        """End a running element of an array."""
        (own,) = (job.job_id for job in self._of(array) if job.indices == (index,))
        self.finish(own, code)

    def purge(self, job_id: int) -> None:
        """Forget an ended job, as slurmctld does after MinJobAge; accounting keeps it."""
        self.ended.append(self.jobs.pop(job_id))

    def lose(self, job_id: int) -> None:
        """Forget a job as a killed slurmctld does: its id is issued again, accounting knows nothing."""
        del self.jobs[job_id]
        self.next_id = min(self.next_id, job_id)

    def die(self, forgotten: Iterable[int]) -> None:
        """Kill slurmctld; it is back after RESTART_SECONDS, without these jobs."""
        for job_id in forgotten:
            self.jobs.pop(job_id, None)
            self.next_id = min(self.next_id, job_id)
        self.deaths += 1
        self._restarts += 1
        asyncio.get_running_loop().call_later(RESTART_SECONDS, self._come_back)

    def _come_back(self) -> None:
        self._restarts -= 1

    def tokens(self, held: bool) -> list[str]:
        """Tokens of the unfinished jobs that are held, or not."""
        live = (job for job in self.jobs.values() if job.state in ("PENDING", "RUNNING"))
        return [job.description["comment"] for job in live if job.held is held]

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked += 1
        if self.away or self._restarts:
            return _error(500, -1, "Unspecified error")
        number, self.requests = self.requests, self.requests + 1
        what = f"{request.method} {request.path}"
        self.before(number, what)
        fault = self.fault(what)
        if self._restarts:
            return _error(500, -1, "Unspecified error")
        if fault == "slow":
            await asyncio.sleep(RESTART_SECONDS / 2)
            if self.away or self._restarts:
                return _error(500, -1, "Unspecified error")
        if fault == "refused":
            return web.Response(status=502, text="Bad Gateway")
        answer = await handler(request)
        if fault == "twice":
            answer = await handler(request)
        if fault == "killed" and request.method == "POST" and answer.status == 200:
            self.die([int(request.match_info.get("id") or self.newest)])
        if fault == "lost":
            answer = web.Response(status=502, text="Bad Gateway")
        self.after(number, what)
        # A client that died in the meantime is noticed here, as it is by a real server.
        await asyncio.sleep(0)
        return answer

    async def _openapi(self, _request: web.Request) -> web.Response:
        served = ("slurm/{}/job/submit", "slurm/{}/jobs/state/", "slurmdb/{}/job/{{job_id}}")
        return web.json_response({"paths": {f"/{path.format(DIALECT)}": {} for path in served}})

    async def _submit(self, request: web.Request) -> web.Response:
        description = (await request.json())["job"]
        if description.get("partition") == "nowhere":
            return _error(500, 2000, "Invalid partition name specified")
        if len(self.jobs) >= self.max_jobs:
            return _error(500, 11, "Resource temporarily unavailable")
        while self.next_id in self.jobs:
            self.next_id += 1
        job = Job(self.next_id, request.headers["X-SLURM-USER-NAME"], description, description["hold"])
        if description.get("array"):
            job.array, job.indices = job.job_id, parse_array(description["array"]).indices
        self.jobs[job.job_id] = job
        self.newest = job.job_id
        self.next_id += 1
        return web.json_response({"job_id": job.job_id, "errors": [], "warnings": []})

    async def _job(self, request: web.Request) -> web.Response:
        found = self._of(int(request.match_info["id"]))
        if not found:
            return _error(500, 2017, "Invalid job id specified")
        return web.json_response({"jobs": [job.record() for job in found], "errors": []})

    def _of(self, job_id: int) -> list[Job]:
        """The job of an id, or the elements of an array."""
        return [job for job in self.jobs.values() if job_id in (job.job_id, job.array)]

    def _start(self, job: Job) -> None:
        """Have a job run, or every element of an array: all but the last get ids of their own."""
        for index in job.indices[:-1]:
            while self.next_id in self.jobs:
                self.next_id += 1
            one = replace(job, job_id=self.next_id, indices=(index,), held=False, state="RUNNING")
            self.jobs[one.job_id] = one
        job.held, job.state, job.indices = False, "RUNNING", job.indices[-1:]
        self.ran.append(job.description["comment"])

    async def _update(self, request: web.Request) -> web.Response:
        job = self.jobs.get(int(request.match_info["id"]))
        if job is None:
            return _error(500, 2017, "Invalid job id specified")
        if job.user != request.headers["X-SLURM-USER-NAME"]:
            return _error(500, 2010, "Invalid user id")
        if (await request.json()).get("hold") is False and job.held:
            self._start(job)
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
            for one in self._of(job.job_id):
                if one.state in ("PENDING", "RUNNING"):
                    # As Slurm: with a start time and the exit code 0, but without nodes.
                    one.began = one.state == "RUNNING"
                    one.held, one.state = False, "CANCELLED"
        verdict = [{"error": {"code": code, "string": words}}] if code else []
        return web.json_response({"status": verdict, "errors": []})

    async def _jobs(self, _request: web.Request) -> web.Response:
        return web.json_response({"jobs": [job.record() for job in self.jobs.values()], "errors": []})

    async def _states(self, _request: web.Request) -> web.Response:
        states = [{"job_id": key, "state": [job.state]} for job in self.jobs.values() for key in job.keys]
        return web.json_response({"jobs": states, "errors": []})

    async def _accounted(self, request: web.Request) -> web.Response:
        if self.database_away:
            return _error(500, 7000, "Unable to connect to database")
        job_id = int(request.match_info["id"])
        every = [*self.ended, *self.jobs.values()]
        rows = [_row(job) for job in every if job_id in (job.job_id, job.array)]
        return web.json_response({"jobs": rows, "errors": []})

    async def _nodes(self, _request: web.Request) -> web.Response:
        node = {
            **{"name": "node1", "state": ["IDLE"], "partitions": ["main"], "reason": ""},
            **{"cpus": 64, "alloc_cpus": 16, "real_memory": 256_000, "gres": "gpu:2", "gres_used": "gpu:0"},
        }
        return web.json_response({"nodes": [node], "errors": []})

    async def _partitions(self, _request: web.Request) -> web.Response:
        limits = {"time": _number(1440), "nodes": _number(1)}
        return web.json_response({"partitions": [{"name": "main", "maximums": limits}], "errors": []})


def _row(job: Job) -> dict[str, Any]:
    record = job.record()
    return {
        "user": job.user,
        "comment": {"job": record["comment"]},
        "state": {"current": record["job_state"]},
        "exit_code": record["exit_code"],
        "time": {"start": 1_700_000_000, "end": 1_700_000_060},
        "nodes": record["nodes"] or "None assigned",
        "tres": {"allocated": [{"type": "cpu", "name": "", "count": 1}]},
        "array": {
            "job_id": job.array,
            "task_id": record["array_task_id"],
            "task": record["array_task_string"],
        },
    }


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": value}


def _error(status: int, number: int, words: str) -> web.Response:
    return web.json_response({"errors": [{"error_number": number, "error": words}]}, status=status)
