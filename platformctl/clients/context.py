"""The context of a user's own kubeconfig: the API server, the credentials and the namespace.

Files are found as kubectl finds them: one named file, or those of KUBECONFIG, or ~/.kube/config.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformctl.clients import kubeconfig
from platformctl.clients.kubernetes import Connection, connect


@dataclass(frozen=True)
class Context:
    """A connection, and the namespace to use if none is given. source: the files, for messages."""

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
    """The named context, or the current one. ValueError: none can be used; its message says why."""
    there = [path for path in files if path.is_file()]
    if not there:
        raise ValueError(_none_there(files))
    try:
        chosen = kubeconfig.read(there, name)
    except ValueError as error:
        absent = ", ".join(str(path) for path in files if not path.exists())
        more = f"; not read, because it does not exist: {absent}" if absent else ""
        raise ValueError(f"{error}{more}") from error
    source = os.pathsep.join(str(path) for path in files)
    return Context(connect(chosen), chosen.namespace, chosen.name, source)


def _none_there(files: list[Path]) -> str:
    if len(files) > 1:
        return f"none of the files {', '.join(map(str, files))} exists"
    return f"{files[0]} is not a file" if files[0].exists() else f"the file {files[0]} does not exist"
