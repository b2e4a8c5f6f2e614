"""The stand-in for slurmrestd as a process of its own: `python -m tests.benchmarks.slurmrestd PORT`.

It is as slow as the real one was measured to be: 250 submissions a second on one connection, 350 on
eight; a change or a cancellation takes as long. Besides Slurm's requests it takes two of the benchmark:
POST /bench/load ["token", ...] makes running jobs and answers their ids, POST /bench/finish [id, ...]
ends them.
"""

import asyncio
import sys

import uvloop
from aiohttp import web

from tests.fakes.slurmrestd import FakeSlurm, Handler, Job

# Seconds that slurmctld takes for a job, one after the other, and that slurmrestd adds.
_IN_TURN, _BESIDE = 1 / 350, 1 / 250 - 1 / 350


def application() -> web.Application:
    """The application with the benchmark's requests."""
    slurm = FakeSlurm(max_jobs=10**6)
    app = slurm.app()
    turn = asyncio.Lock()

    @web.middleware
    async def pace(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "GET" or request.path.startswith("/bench/"):
            return await handler(request)
        async with turn:
            await asyncio.sleep(_IN_TURN)
        answer = await handler(request)
        await asyncio.sleep(_BESIDE)
        return answer

    app.middlewares.insert(0, pace)

    async def load(request: web.Request) -> web.Response:
        first = slurm.next_id
        for token in await request.json():
            description = {"name": "bench", "comment": token, "standard_output": "/home/alice/%j.out"}
            slurm.jobs[slurm.next_id] = Job(slurm.next_id, "alice", description, held=False, state="RUNNING")
            slurm.next_id += 1
        return web.json_response(list(range(first, slurm.next_id)))

    async def finish(request: web.Request) -> web.Response:
        for job_id in await request.json():
            slurm.finish(job_id)
        return web.json_response({})

    app.router.add_post("/bench/load", load)
    app.router.add_post("/bench/finish", finish)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
