"""Whether a service works, asked as its users would ask it, for a bounded time."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

_PAUSE = 0.2
_ONE_TRY = 10
_LONGEST = 1000


def wait(healthy: dict[str, Any], process: Callable[[], str]) -> str:
    """Wait until a service is healthy; what is wrong with it at the end of the time, or nothing.

    process: the number of the service's main process. It must be the same for the last `steady` seconds: a
    service that dies over and over may answer in between.
    """
    end = time.monotonic() + healthy["within"]
    since, before = time.monotonic(), process()
    while True:
        problem = _problem(healthy)
        now = process()
        if now != before:
            since, before = time.monotonic(), now
        if not problem and (time.monotonic() - since >= healthy["steady"]):
            return ""
        if time.monotonic() > end:
            return problem or f"it starts again and again within {healthy['steady']} s"
        time.sleep(_PAUSE)


def is_well(healthy: dict[str, Any]) -> bool:
    """Whether a service is healthy now."""
    return not _problem(healthy)


def _problem(healthy: dict[str, Any]) -> str:
    for kind, ask in (("command", _command), ("url", _url), ("socket", _socket), ("port", _port)):
        if healthy.get(kind) and (problem := ask(healthy[kind])):
            return problem
    return ""


def _command(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_ONE_TRY, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not answer within {_ONE_TRY} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or done.stdout.strip() or f"{command[0]} ended with {done.returncode}")[
        -1000:
    ]


def _url(url: str) -> str:
    # It is this host that is asked; who it is was settled before.
    context = ssl._create_unverified_context()  # noqa: S323
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        opener.open(url, timeout=_ONE_TRY).close()
    except urllib.error.HTTPError as error:
        return f"{url}: HTTP {error.code}: {error.read(500).decode(errors='replace').strip()}"
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {getattr(error, 'reason', error)}"
    return ""


def _socket(path: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ONE_TRY)
            client.connect(path)
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return ""


def _port(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_ONE_TRY).close()
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    return ""
