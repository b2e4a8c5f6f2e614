"""A stand-in for the API server with nothing but Jobs: what a look at a Job needs, without a network.

It keeps what the protocol rests on: a write on an old copy is refused, whoever has a finalizer outlives its
deletion, and a deletion may name the one that is meant. tests/integration/router asks the real one.
"""

import copy
import itertools
import json
from typing import Any

from platformctl.clients.kubernetes import ApiError, ConflictError, NotFoundError
from platformctl.router.job.resource import JobResource
from platformctl.vocabulary import job_path

NAMESPACE = "default"


class JobsApi:
    """What a JobStore asks. log: the requests that change something, in their order.

    failing: what the next of these meet, each one.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.failing: list[ApiError] = []
        self._objects: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(1)

    def create(self, name: str, spec: dict[str, Any], **metadata: Any) -> JobResource:
        """A user's request; of a name that was free."""
        number = str(next(self._versions))
        body = {"name": name, "namespace": NAMESPACE, "generation": 1, **metadata}
        body = {"uid": f"11924ac8-3932-46d6-ad0c-{number:0>12}", "resourceVersion": number, **body}
        self._objects[job_path(NAMESPACE, name)] = {"metadata": body, "spec": spec}
        return self.job(name)

    def job(self, name: str) -> JobResource:
        """A Job as it is now."""
        return JobResource(copy.deepcopy(self._objects[job_path(NAMESPACE, name)]))

    def jobs(self) -> list[JobResource]:
        """All of them."""
        return [JobResource(copy.deepcopy(body)) for body in self._objects.values()]

    def exists(self, name: str) -> bool:
        """Whether it is there still."""
        return job_path(NAMESPACE, name) in self._objects

    def annotate(self, name: str, annotations: dict[str, str | None]) -> None:
        """A user's request."""
        self._merge(job_path(NAMESPACE, name), {"metadata": {"annotations": annotations}})

    async def get(self, where: str) -> dict[str, Any]:
        """See KubernetesClient."""
        return copy.deepcopy(self._at(where))

    async def merge(self, where: str, patch: dict[str, Any]) -> dict[str, Any]:
        """See KubernetesClient."""
        self.log.append("status" if where.endswith("/status") else "finalizers")
        if self.failing:
            raise self.failing.pop(0)
        known = self._at(where.removesuffix("/status"))
        version = patch["metadata"].pop("resourceVersion")
        if version != known["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "the object has been modified")
        return self._merge(where.removesuffix("/status"), patch)

    async def delete(self, where: str, uid: str = "") -> None:
        """See KubernetesClient."""
        self.log.append("delete")
        known = self._objects.get(where)
        if known is None:
            return
        if uid not in ("", known["metadata"]["uid"]):
            raise ConflictError(409, "Conflict", "the UID in the precondition is another's")
        self._merge(where, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})

    def _at(self, where: str) -> dict[str, Any]:
        if where not in self._objects:
            raise NotFoundError(404, "NotFound", "not found")
        return self._objects[where]

    def _merge(self, where: str, patch: dict[str, Any]) -> dict[str, Any]:
        known = _merged(self._at(where), json.loads(json.dumps(patch)))
        known["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[where] = known
        if "deletionTimestamp" in known["metadata"] and not known["metadata"].get("finalizers"):
            del self._objects[where]
        return copy.deepcopy(known)


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found
