"""Has the cluster count the Jobs of a namespace as soon as it can, so that a new quota refuses none.

The quota controller looks for new kinds of objects every 30 s. A quota for a kind that it does not know yet
is not counted, and no object of the kind is admitted; it counts again after 5 minutes, or when the quota's
limits change. So a further limit, of objects that nobody has so many of, is set and taken away again.
"""

import asyncio
import time
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError
from platformctl.vocabulary import GROUP, JOBS_QUOTA

COUNTED = f"count/jobs.{GROUP}"
_QUOTAS = "/api/v1/resourcequotas"
_FURTHER = {"count/leases.coordination.k8s.io": "1000000"}
_POLL_SECONDS = 2.0
# Two looks for new kinds.
_PATIENCE_SECONDS = 70.0


async def until_counted(client: KubernetesClient) -> bool:
    """Wait until every quota of Jobs is counted; False if one was not in time. Raises ApiError."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while uncounted := await _uncounted(client):
        if time.monotonic() > deadline:
            return False
        for metadata in uncounted:
            path = f"/api/v1/namespaces/{metadata['namespace']}/resourcequotas/{metadata['name']}"
            try:
                await client.merge(path, {"spec": {"hard": _FURTHER}})
                await client.merge(path, {"spec": {"hard": dict.fromkeys(_FURTHER)}})
            except NotFoundError:
                continue
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def _uncounted(client: KubernetesClient) -> list[dict[str, Any]]:
    found = await client.get(_QUOTAS, fieldSelector=f"metadata.name={JOBS_QUOTA}")
    return [
        quota["metadata"]
        for quota in found["items"]
        if COUNTED in quota["spec"].get("hard", {}) and COUNTED not in quota.get("status", {}).get("used", {})
    ]
