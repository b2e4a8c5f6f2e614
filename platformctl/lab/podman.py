"""Calls of the podman command.

Lab objects have the label `platformctl.lab=<name>`. podman itself is the record of what exists, so that
leftovers of a killed command are found too.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from platformctl.errors import PlatformError

LAB_LABEL = "platformctl.lab"
_BUSY_SECONDS = 0.5


def run(*arguments: str, check: bool = True, data: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `podman ARGUMENTS`; a failure is a PlatformError with podman's message, unless check is False."""
    command = ["podman", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, input=data, check=False)
    if check and done.returncode:
        raise PlatformError(
            f"podman failed: {done.stderr.strip() or f'exit {done.returncode}'}",
            where=" ".join(command[:3]),
            next="if the machine's podman is at fault, `podman info` says so as well",
        )
    return done


def remove(*arguments: str, seconds: float = 30) -> None:
    """Run a command that removes objects; retry while one is "busy", because the kernel releases mounts late.

    Raises the error of `run` at once for any other reason, and for "busy" when the seconds are over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            run(*arguments)
        except PlatformError as error:
            if "busy" not in error.what or time.monotonic() >= deadline:
                raise
            time.sleep(_BUSY_SECONDS)
        else:
            return


def query(*arguments: str) -> list[dict[str, Any]]:
    """The list of objects that a podman command prints with --format json."""
    objects: list[dict[str, Any]] | None = json.loads(run(*arguments, "--format", "json").stdout or "[]")
    return objects or []


def labelled(kind: Sequence[str], lab: str | None) -> list[dict[str, Any]]:
    """Objects of one kind (("ps", "--all"), ("volume", "ls"), ("network", "ls")) of a lab, or of all labs."""
    wanted = LAB_LABEL if lab is None else f"{LAB_LABEL}={lab}"
    return query(*kind, "--filter", f"label={wanted}")
