"""Kubeconfigs as documents: the administrator's, reachable from the operator's machine, and files of them."""

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

_FILES = ("certificate-authority", "client-certificate", "client-key")


def for_operator(admin: str, address: str, server_name: str) -> dict[str, Any]:
    """The cluster's admin.conf as a kubeconfig that works where the API's name does not resolve.

    admin: the text of admin.conf. address: a control-plane host's address. server_name: the name in
    the API server's certificate, which is still verified.
    """
    document: dict[str, Any] = yaml.safe_load(admin)
    for entry in document["clusters"]:
        cluster = entry["cluster"]
        port = cluster["server"].rsplit(":", 1)[-1]
        cluster["server"] = f"https://{address}:{port}"
        cluster["tls-server-name"] = server_name
    return document


def of_file(path: Path, context: str = "") -> dict[str, Any]:
    """One context of a kubeconfig (the current one if none is named) without the others or other files.

    ValueError: the file is no kubeconfig, or has no such context.
    """
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict):
        raise ValueError("it is no kubeconfig")
    name = context or str(document.get("current-context") or "")
    found = _entry(document, "context", name)
    cluster, user = (_entry(document, kind, str(found["context"].get(kind))) for kind in ("cluster", "user"))
    for entry, kind in ((cluster, "cluster"), (user, "user")):
        for key in _FILES:
            if file := entry[kind].pop(key, None):
                content = (path.parent / file).read_bytes()
                entry[kind][f"{key}-data"] = base64.b64encode(content).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [user],
        "contexts": [found],
        "current-context": name,
    }


def _entry(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for item in document.get(f"{kind}s") or []:
        if item.get("name") == name and isinstance(item.get(kind), dict):
            return {"name": name, kind: dict(item[kind])}
    known = ", ".join(str(item.get("name")) for item in document.get(f"{kind}s") or []) or "none"
    raise ValueError(f"it has no {kind} {name!r}; it has {known}")


def write(kubeconfig: dict[str, Any], path: Path) -> None:
    """Write a kubeconfig readable by its owner only, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(kubeconfig, file, sort_keys=False)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
