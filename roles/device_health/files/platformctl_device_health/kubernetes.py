"""Kubernetes' side: a condition of the node says what is wrong. The device plugin takes the devices away.

It speaks as the kubelet of this host, which may change the status of its own node and of no other.
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from platformctl_device_health.follower import SETTLED_SECONDS, UnansweredError

Run = Callable[[Sequence[str]], str]
"""Runs a command and returns what it printed. Raises UnansweredError."""

CONDITION = "DeviceFault"
KUBELET = Path("/etc/kubernetes/kubelet.conf")
_SECONDS = 10


class Node:
    """A node of Kubernetes. kubelet: the kubeconfig of its kubelet; without it the host is no node now."""

    def __init__(self, name: str, kubelet: Path = KUBELET, run: Run | None = None) -> None:
        self._name = name
        self._kubelet = kubelet
        self._run = run or _command

    def bring(self, text: str) -> float | None:
        """Let the condition say this; empty: that no device is faulty. See Follower."""
        again = SETTLED_SECONDS if text else None
        told = self._told() if self._kubelet.exists() else None
        # There is no such node while the host belongs to Slurm, or has not joined yet.
        if told not in (None, text):
            self._kubectl("patch", "--subresource=status", "--patch", json.dumps(patch(text, _now())))
        return again

    def _told(self) -> str | None:
        """What the condition says now; None if there is no such node."""
        printed = self._kubectl("get", "--ignore-not-found", "--output=json")
        if not printed.strip():
            return None
        try:
            conditions = json.loads(printed)["status"].get("conditions") or ()
            found = {one["type"]: one for one in conditions}.get(CONDITION) or {}
        except (KeyError, TypeError, ValueError) as error:
            raise UnansweredError(f"kubectl prints no node: {error!r}") from error
        return str(found.get("message") or "") if found.get("status") == "True" else ""

    def _kubectl(self, verb: str, *options: str) -> str:
        base = ["kubectl", f"--kubeconfig={self._kubelet}", f"--request-timeout={_SECONDS // 2}s"]
        return self._run([*base, verb, "node", self._name, *options])


def patch(text: str, now: str) -> dict[str, object]:
    """The change of the node's status. now: as the API writes times."""
    condition = {
        "type": CONDITION,
        "status": "True" if text else "False",
        "reason": CONDITION if text else "NoDeviceFault",
        "message": text or "no device is faulty",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    return {"status": {"conditions": [condition]}}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _command(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnansweredError(f"kubectl: {error}") from error
    if done.returncode:
        raise UnansweredError(f"kubectl: {done.stderr.strip()}")
    return done.stdout
