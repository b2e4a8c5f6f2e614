"""Kubernetes' side: a condition of the node says what is wrong. The device plugin takes the devices away.

It speaks as the kubelet of this host, which may change the status of its own node and of no other.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from platformctl_device_health import features
from platformctl_device_health.follower import SETTLED_SECONDS, UnansweredError

Run = Callable[[Sequence[str], str], str]
"""Runs a command with this input and returns what it printed. Raises UnansweredError."""

CONDITION = "DeviceFault"
KUBELET = Path("/etc/kubernetes/kubelet.conf")
_SECONDS = 10
LABELS_SECONDS = 300.0
"""How often it is looked whether the labels are still there. Asking for a node costs the API little."""


class Node:
    """A node of Kubernetes. kubelet: the kubeconfig of its kubelet; without it the host is no node now."""

    def __init__(self, name: str, kubelet: Path = KUBELET, run: Run | None = None) -> None:
        self._name = name
        self._kubelet = kubelet
        self._run = run or _command

    def bring(self, text: str) -> float | None:
        """Let the condition say this; empty: that no device is faulty. See Follower."""
        again = SETTLED_SECONDS if text else None
        # There is no such node while the host belongs to Slurm, or has not joined yet.
        node = self._read() if self._kubelet.exists() else None
        if node is None:
            return again
        try:
            conditions = node["status"].setdefault("conditions", [])
            if told(conditions) != text:
                conditions[:] = [one for one in conditions if one["type"] != CONDITION]
                conditions.append(condition(text, _now()))
                # Not `kubectl patch`: it reads the status first, which a kubelet may only write. If somebody
                # else has changed the node since it was read, this is refused, and tried again.
                status = f"/api/v1/nodes/{self._name}/status"
                self._kubectl("replace", f"--raw={status}", "--filename=-", data=json.dumps(node))
        except (KeyError, TypeError) as error:
            raise UnansweredError(f"kubectl prints no node: {error!r}") from error
        return again

    def label(self, text: str) -> float | None:
        """Let the labels of features.LABELS be these, as JSON. See Follower."""
        again = LABELS_SECONDS if text else None
        node = self._read() if self._kubelet.exists() else None
        if node is None:
            return again
        try:
            there = node["metadata"].get("labels") or {}
        except (AttributeError, KeyError, TypeError) as error:
            raise UnansweredError(f"kubectl prints no node: {error!r}") from error
        wanted = json.loads(text) if text else {}
        changes = [f"{name}={value}" for name, value in wanted.items() if there.get(name) != value]
        changes += [f"{name}-" for name in features.LABELS if name in there and name not in wanted]
        if changes and features.THEIRS not in there:
            self._kubectl("label", "node", self._name, "--overwrite", *changes)
        return again

    def _read(self) -> Any:
        """The node in the API; None if there is none."""
        printed = self._kubectl("get", "node", self._name, "--ignore-not-found", "--output=json")
        try:
            return json.loads(printed) if printed.strip() else None
        except ValueError as error:
            raise UnansweredError(f"kubectl prints no node: {error!r}") from error

    def _kubectl(self, *words: str, data: str = "") -> str:
        base = ["kubectl", f"--kubeconfig={self._kubelet}", f"--request-timeout={_SECONDS // 2}s"]
        return self._run([*base, *words], data)


def told(conditions: Iterable[Mapping[str, Any]]) -> str:
    """What our condition says; empty if it says that no device is faulty, or is not there."""
    found = {one["type"]: one for one in conditions}.get(CONDITION) or {}
    return str(found.get("message") or "") if found.get("status") == "True" else ""


def condition(text: str, now: str) -> dict[str, str]:
    """Our condition with this reason. now: as the API writes times."""
    return {
        "type": CONDITION,
        "status": "True" if text else "False",
        "reason": CONDITION if text else "NoDeviceFault",
        "message": text or "no device is faulty",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _command(words: Sequence[str], data: str) -> str:
    try:
        done = subprocess.run(
            words,
            input=data,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnansweredError(f"kubectl: {error}") from error
    if done.returncode:
        raise UnansweredError(f"kubectl: {done.stderr.strip()}")
    return done.stdout
