"""Pods without what the router never reads: a pod's environment, arguments and files may have a megabyte."""

from typing import Any

INDEX = "batch.kubernetes.io/job-completion-index"
_OF_A_CONTAINER = ("name", "resources", "restartPolicy")


def slim(pod: dict[str, Any]) -> dict[str, Any]:
    """Whose the pod is, where it runs, what it asks for, and its status."""
    metadata, spec = pod["metadata"], pod["spec"]
    names = (
        "namespace",
        "name",
        "uid",
        "labels",
        "ownerReferences",
        "creationTimestamp",
        "deletionTimestamp",
    )
    kept = {name: metadata[name] for name in names if name in metadata}
    index = (metadata.get("annotations") or {}).get(INDEX)
    if index is not None:
        kept["annotations"] = {INDEX: index}
    asked: dict[str, Any] = {
        kind: [
            {name: container[name] for name in _OF_A_CONTAINER if name in container}
            for container in spec.get(kind) or []
        ]
        for kind in ("initContainers", "containers")
    }
    if "nodeName" in spec:
        asked["nodeName"] = spec["nodeName"]
    return {"metadata": kept, "spec": asked, "status": pod.get("status") or {}}
