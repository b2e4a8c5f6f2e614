"""Reads the ConfigMaps and Secrets of a Job from Kubernetes, because Slurm cannot read them itself.

Admission has asked the API server whether the submitter may read each of them, and their names in a Job never
change. A Job waits for an object that does not exist yet, as a pod does.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from platformctl.clients.kubernetes import ApiError, KubernetesClient, NotFoundError
from platformctl.jobs.contents import CONFIG_MAP, MAX_CONTENT, Contents, Named, UnusableError, named
from platformctl.router.backend import Denied, Ticket, Unavailable

type ReadContents = Callable[[Ticket], Awaitable[Contents]]
"""Reads everything that the containers of a Job need. Raises Denied while something is not there."""

_PATHS = {CONFIG_MAP: "configmaps", "Secret": "secrets"}


async def nothing(_: Ticket) -> Contents:
    """For Jobs that name no object."""
    return {}


def reading(client: KubernetesClient) -> ReadContents:
    """Reads with the router's own rights."""

    async def read(ticket: Ticket) -> Contents:
        contents: dict[tuple[str, str], Mapping[str, bytes]] = {}
        for one in named(ticket.job):
            found = await _object(client, ticket.claim.namespace, one)
            if found is not None:
                contents[one.kind, one.name] = _entries(one.kind, found)
        if sum(len(value) for entries in contents.values() for value in entries.values()) > MAX_CONTENT:
            raise UnusableError(
                f"its ConfigMaps and Secrets have more than {MAX_CONTENT // 1024} KiB together, which is too "
                "much for a job on Slurm: keep large files in the home, or use target: kubernetes"
            )
        return contents

    return read


async def _object(client: KubernetesClient, namespace: str, one: Named) -> dict[str, Any] | None:
    try:
        return await client.get(f"/api/v1/namespaces/{namespace}/{_PATHS[one.kind]}/{one.name}")
    except NotFoundError:
        if one.optional:
            return None
        raise Denied(f"waits for the {one.kind} {one.name}, which does not exist") from None
    except ApiError as error:
        raise Unavailable(f"Kubernetes does not show the {one.kind} {one.name}: {error.message}") from error


def _entries(kind: str, found: dict[str, Any]) -> dict[str, bytes]:
    data = found.get("data") or {}
    if kind == CONFIG_MAP:
        binary = found.get("binaryData") or {}
        return {
            **{key: str(text).encode() for key, text in data.items()},
            **{key: base64.b64decode(text) for key, text in binary.items()},
        }
    return {key: base64.b64decode(text) for key, text in data.items()}
