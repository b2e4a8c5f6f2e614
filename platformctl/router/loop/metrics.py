"""Metrics that every controller has, and the registry of all metrics; times are seconds.

The code that does something updates its metric here. The registry has no metrics of the libraries.
"""

import time
from types import SimpleNamespace

import aiohttp
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

FINE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

LEADING = Gauge("job_router_leading", "1 while this process holds the lease, 0 on standby", registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "job_router_request_seconds",
    "Requests to the API server and the back ends by HTTP code, none when there was no answer",
    ["server", "method", "code"],
    buckets=FINE_SECONDS,
    registry=REGISTRY,
)
WATCH_SILENCE = Gauge(
    "job_router_watch_silence_seconds",
    "Time since the API server last sent something; up to 280 s is normal for a quiet collection",
    ["path"],
    registry=REGISTRY,
)
WATCH_LISTS = Gauge(
    "job_router_watch_lists",
    "How often a watched collection was listed in full",
    ["path"],
    registry=REGISTRY,
)


def requests(server: str) -> aiohttp.TraceConfig:
    """Hooks for an HTTP session that measure its requests; server: kubernetes, slurm."""
    trace = aiohttp.TraceConfig()

    async def start(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestStartParams
    ) -> None:
        context.begun = time.perf_counter()

    async def end(
        _session: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        seconds = time.perf_counter() - context.begun
        REQUEST_SECONDS.labels(server, request.method, request.response.status).observe(seconds)

    async def fail(
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        request: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        seconds = time.perf_counter() - context.begun
        REQUEST_SECONDS.labels(server, request.method, "none").observe(seconds)

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(fail)
    return trace
