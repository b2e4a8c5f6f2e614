"""The stand-in for slurmrestd as a process of its own: `python -m tests.benchmarks.slurmrestd PORT`.

Besides Slurm's requests it takes two of the benchmark: POST /bench/load ["token", ...] makes running jobs
and answers their ids, POST /bench/finish [id, ...] ends them.
"""

import sys

import uvloop
from aiohttp import web

from tests.fakes.slurmrestd import FakeSlurm, Job


def application() -> web.Application:
    """The application with the benchmark's requests."""
    slurm = FakeSlurm()
    app = slurm.app()

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
