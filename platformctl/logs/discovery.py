"""The discovery documents of this API server, for the aggregator and kubectl.

Source: the types of meta/v1 (APIGroup, APIResourceList) and apidiscovery.k8s.io/v2 of Kubernetes; OpenAPI.
Only the subresource is listed: a second resource `jobs` would hide the real Jobs from kubectl.
"""

from typing import Any

from platformctl.vocabulary import LOGS_GROUP, VERSION, log_path

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_GROUP_VERSION = {"groupVersion": f"{LOGS_GROUP}/{VERSION}", "version": VERSION}
_GROUP = {"name": LOGS_GROUP, "versions": [_GROUP_VERSION], "preferredVersion": _GROUP_VERSION}
_KIND = {"group": LOGS_GROUP, "version": VERSION, "kind": "JobLog"}

GROUPS: dict[str, Any] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]}

ONE_GROUP: dict[str, Any] = {"kind": "APIGroup", "apiVersion": "v1", **_GROUP}

RESOURCES: dict[str, Any] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{LOGS_GROUP}/{VERSION}",
    "resources": [
        {"name": "jobs/log", "singularName": "", "namespaced": True, "kind": "JobLog", "verbs": ["get"]}
    ],
}

DISCOVERY: dict[str, Any] = {
    "kind": "APIGroupDiscoveryList",
    "apiVersion": "apidiscovery.k8s.io/v2",
    "metadata": {},
    "items": [
        {
            "metadata": {"name": LOGS_GROUP},
            "versions": [
                {
                    "version": VERSION,
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "jobs",
                            "scope": "Namespaced",
                            "subresources": [{"subresource": "log", "responseKind": _KIND, "verbs": ["get"]}],
                        }
                    ],
                }
            ],
        }
    ],
}

_INFO = {"title": "Output of Jobs", "version": VERSION}
_QUERY = {
    "offset": {"type": "integer", "minimum": 0},
    "tailBytes": {"type": "integer", "minimum": 0},
    "index": {"type": "integer", "minimum": 0},
    "attempt": {"type": "integer", "minimum": 1},
    "follow": {"type": "boolean"},
}
_TEXT = {"description": "what the Job printed", "content": {"text/plain": {"schema": {"type": "string"}}}}
_PATH = log_path("{namespace}", "{name}")
_NAMES = [
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("namespace", "name")
]
_CHOICES = [{"name": name, "in": "query", "schema": schema} for name, schema in _QUERY.items()]
_OPENAPI_3 = f"/openapi/v3/apis/{LOGS_GROUP}/{VERSION}"

OPENAPI: dict[str, dict[str, Any]] = {
    # The aggregator requests the second version too, and retries for ever if there is none.
    "/openapi/v2": {"swagger": "2.0", "info": _INFO, "paths": {}},
    "/openapi/v3": {
        "paths": {f"apis/{LOGS_GROUP}/{VERSION}": {"serverRelativeURL": f"{_OPENAPI_3}?hash={VERSION}"}}
    },
    _OPENAPI_3: {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {
            _PATH: {
                "parameters": [*_NAMES, *_CHOICES],
                "get": {"operationId": "readJobLog", "responses": {"200": _TEXT}},
            }
        },
    },
}
