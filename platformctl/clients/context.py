"""The context of a person's own kubeconfig: which API server, as whom, in which namespace.

Files are found and merged as kubectl does: one named file, or those of KUBECONFIG, of which the first to
name a thing decides, or ~/.kube/config. Credentials are a certificate, a token, a token file, or a
program that prints an ExecCredential of client.authentication.k8s.io.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from platformctl.clients.kubernetes import Connection, connect

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_EXEC_SECONDS = 60


@dataclass(frozen=True)
class Context:
    """A connection with the namespace that counts where none is named. source: the files, for people."""

    connection: Connection
    namespace: str
    name: str
    source: str


def kubeconfig_files(given: Path | None, environment: Mapping[str, str]) -> list[Path]:
    """Where to look, in order."""
    if given is not None:
        return [given]
    named = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"]


def read_context(files: list[Path], name: str = "") -> Context:
    """The named context, or the current one. ValueError in words when there is none that can be used."""
    source = os.pathsep.join(str(path) for path in files)
    if not any(path.is_file() for path in files):
        raise ValueError(_none_there(files))
    merged = _merge([_read(path) for path in files if path.is_file()])
    name = name or str(merged["current-context"])
    found = merged["contexts"].get(name)
    if found is None:
        known = ", ".join(merged["contexts"]) or "none"
        absent = [str(path) for path in files if not path.exists()]
        more = f"; not read, because it does not exist: {', '.join(absent)}" if absent else ""
        what = f"there is no context {name!r}" if name else "no context is the current one"
        raise ValueError(f"{what}; contexts are: {known}{more}")
    cluster = merged["clusters"].get(found.get("cluster"), {})
    if not cluster.get("server"):
        raise ValueError(f"the context {name!r} names no cluster with a server")
    user = merged["users"].get(found.get("user"), {})
    if user.get("exec"):
        user = {**user, **_run(user["exec"])}
    return Context(connect(cluster, user), str(found.get("namespace") or "default"), name, source)


def _none_there(files: list[Path]) -> str:
    if len(files) > 1:
        return f"none of the files {', '.join(map(str, files))} exists"
    return f"{files[0]} is no file" if files[0].exists() else f"the file {files[0]} does not exist"


def _read(path: Path) -> dict[str, Any]:
    """One file's entries by name, with paths made absolute from where the file is."""
    try:
        document = yaml.safe_load(path.read_text()) or {}
        entries = {kind: _entries(document, kind, path.parent) for kind in ("cluster", "user", "context")}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a kubeconfig: {error}") from error
    return {"current-context": document.get("current-context") or "", **entries}


def _entries(document: dict[str, Any], kind: str, folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for item in document.get(f"{kind}s") or []:
        entry = dict(item.get(kind) or {})
        for key in _FILES:
            if entry.get(key):
                entry[key] = str(folder / entry[key])
        found[str(item["name"])] = entry
    return found


def _merge(documents: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    for document in documents:
        merged["current-context"] = merged["current-context"] or document["current-context"]
        for kind in ("cluster", "user", "context"):
            merged[f"{kind}s"] = {**document[kind], **merged[f"{kind}s"]}
    return merged


def _run(plugin: dict[str, Any]) -> dict[str, Any]:
    """Credentials from a program, as entries of a kubeconfig's user."""
    words = [str(plugin.get("command", "")), *(str(word) for word in plugin.get("args") or [])]
    wanted = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or []}
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **wanted, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        done = subprocess.run(
            words, env=environment, stdout=subprocess.PIPE, check=True, timeout=_EXEC_SECONDS, text=True
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        hint = plugin.get("installHint") or ""
        raise ValueError(f"{words[0]} gave no credentials: {error} {hint}".strip()) from error
    names = {
        "token": "token",
        "clientCertificateData": "client-certificate-pem",
        "clientKeyData": "client-key-pem",
    }
    return {names[key]: value for key, value in status.items() if key in names}
