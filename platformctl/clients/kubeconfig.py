"""Reads, merges, inlines and writes kubeconfigs. No module but kubeconfig_merge does.

Several files are merged as kubectl does: the first file that has an entry takes precedence. Relative paths in
a file are relative to its folder.
"""

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from platformctl import private_files, surroundings

Document = dict[str, Any]

_KINDS = ("cluster", "user", "context")
_INLINED = ("certificate-authority", "client-certificate", "client-key")
_FILES = (*_INLINED, "tokenFile")
_EXEC_SECONDS = 60
# The fields of an ExecCredential's status, and the entries of a user that clients.kubernetes reads.
_EXEC_FIELDS = {
    "token": "token",
    "clientCertificateData": "client-certificate-pem",
    "clientKeyData": "client-key-pem",
}


@dataclass(frozen=True)
class Entries:
    """One context with the cluster and the user that it names, as the entries of a kubeconfig."""

    name: str
    context: Mapping[str, Any]
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)

    @property
    def namespace(self) -> str:
        """The context's namespace; `default` if it has none."""
        return str(self.context.get("namespace") or "default")

    def document(self) -> Document:
        """A kubeconfig of these entries alone."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.context["cluster"], "cluster": dict(self.cluster)}],
            "users": [{"name": self.context["user"], "user": dict(self.user)}],
            "contexts": [{"name": self.name, "context": dict(self.context)}],
            "current-context": self.name,
        }


def read(files: Sequence[Path], context: str = "") -> Entries:
    """A context of these files, merged; by default the current one. ValueError: why there is none."""
    return _select([_file(path) for path in files], context)


def entries(document: Document, context: str = "") -> Entries:
    """A context of one document, whose paths are absolute; by default the current one."""
    return _select([_named(document, Path())], context)


def of_file(path: Path, context: str = "") -> Document:
    """One context of a file, as a document that needs no other file. ValueError, OSError: it is unusable."""
    entries = read([path], context)
    return replace(entries, cluster=_inlined(entries.cluster), user=_inlined(entries.user)).document()


def for_operator(admin: str, address: str, server_name: str) -> Document:
    """The cluster's admin.conf as a kubeconfig that works where the API's name does not resolve.

    admin: the text of admin.conf. address: a control-plane host's address. server_name: the name in
    the API server's certificate, which is still verified. ValueError: the text is no kubeconfig.
    """
    try:
        given = entries(yaml.safe_load(admin))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it is not a kubeconfig: {error}") from error
    port = given.cluster["server"].rsplit(":", 1)[-1]
    reachable = {"server": f"https://{address}:{port}", "tls-server-name": server_name}
    return replace(given, cluster={**given.cluster, **reachable}).document()


def credentials(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """A user's entry, with the credentials of its program if it names one. ValueError: it printed none."""
    return {**user, **_run(user["exec"])} if user.get("exec") else user


@contextmanager
def private_file(document: Document) -> Iterator[Path]:
    """A temporary file that only this user can read, for programs that need the kubeconfig as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        write(document, path)
        yield path


def write(document: Document, path: Path) -> None:
    """Write a kubeconfig readable by its owner only, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    private_files.replace(path, yaml.safe_dump(document, sort_keys=False).encode())


def _file(path: Path) -> Document:
    try:
        return _named(yaml.safe_load(path.read_text()) or {}, path.parent)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a kubeconfig: {error}") from error


def _named(document: Document, folder: Path) -> Document:
    """A document's entries by kind and name, with paths made absolute."""
    current = {"current-context": str(document.get("current-context") or "")}
    return current | {
        kind: {
            str(item["name"]): _absolute(item.get(kind) or {}, folder)
            for item in document.get(f"{kind}s") or []
        }
        for kind in _KINDS
    }


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {**entry, **{key: str(folder / entry[key]) for key in _FILES if entry.get(key)}}


def _select(documents: Sequence[Document], context: str) -> Entries:
    merged: dict[str, dict[str, Any]] = {}
    for kind in _KINDS:
        merged[kind] = {}
        for document in reversed(documents):
            merged[kind] |= document[kind]
    current = (document["current-context"] for document in documents)
    name = context or next(filter(None, current), "")
    chosen = merged["context"].get(name)
    if chosen is None:
        if not name:
            raise ValueError("no context is named, and there is no current context")
        known = ", ".join(merged["context"]) or "none"
        raise ValueError(f"there is no context {name!r}; contexts are: {known}")
    cluster = merged["cluster"].get(str(chosen.get("cluster")), {})
    if not cluster.get("server"):
        raise ValueError(f"the context {name!r} names no cluster with a server")
    user = merged["user"].get(str(chosen.get("user")), {})
    return Entries(name, {"user": "", **chosen}, cluster, user)


def _inlined(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the contents of its files in place of their paths."""
    contents = {
        f"{key}-data": base64.b64encode(Path(entry[key]).read_bytes()).decode()
        for key in _INLINED
        if entry.get(key)
    }
    return {key: value for key, value in entry.items() if key not in _INLINED} | contents


def _run(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Credentials from a program, as entries of a kubeconfig's user."""
    words = [str(plugin.get("command", "")), *(str(word) for word in plugin.get("args") or [])]
    wanted = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or []}
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**surroundings.given(), **wanted, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            timeout=_EXEC_SECONDS,
            text=True,
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        hint = plugin.get("installHint") or ""
        raise ValueError(f"{words[0]} gave no credentials: {error} {hint}".strip()) from error
    return {_EXEC_FIELDS[key]: value for key, value in status.items() if key in _EXEC_FIELDS}
