"""The router's Prometheus metrics of Jobs and back ends; times are seconds."""

from prometheus_client import Counter, Gauge, Histogram

from platformctl.router.loop.metrics import FINE_SECONDS, REGISTRY

QUEUE_DEPTH = Gauge("job_router_queue_depth", "Jobs that wait to be reconciled", registry=REGISTRY)
RECONCILE_SECONDS = Histogram(
    "job_router_reconcile_seconds",
    "How long it took to reconcile one Job once",
    buckets=FINE_SECONDS,
    registry=REGISTRY,
)
RECONCILES = Counter(
    "job_router_reconciles_total",
    "Reconciles of Jobs by result: done, retry, defect",
    ["result"],
    registry=REGISTRY,
)
JOBS = Gauge("job_router_jobs", "Jobs by phase", ["phase"], registry=REGISTRY)
SUBMISSIONS = Counter(
    "job_router_submissions_total",
    "Held submissions by back end and result: accepted, refused, unavailable",
    ["backend", "result"],
    registry=REGISTRY,
)
BREAKER_OPEN = Gauge(
    "job_router_breaker_open",
    "1 while requests to a back end are paused because it failed",
    ["backend"],
    registry=REGISTRY,
)
