"""Many nodes for the schedulers of a lab: slurmds beside each other on one host, and nodes played by kwok."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformctl import lab as labs
from platformctl.artifacts.programs import module_sources
from platformctl.clients.kubernetes import KubernetesClient
from tests import gobuild

_SCRIPTS = Path(__file__).with_name("simulated")
_MODULE = Path(__file__).with_name("gomodule")
# What kwok comes with: nodes are ready and renew their leases, pods run at once, and those of a Job end.
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
_MARK = "# simulated"
_PATIENCE = 600
_PORTS = 20000
_FAKE = {"kwok.x-k8s.io/node": "fake"}
_SIZE = {"cpu": "32", "memory": "256Gi", "pods": "110"}


def host(lab: labs.Lab, name: str, script: str, *arguments: str, data: str | None = None) -> str:
    """What a shell script prints as root on a host; an error ends the benchmark."""
    done = lab.exec(name, ["sh", "-ec", script, "sh", *arguments], data=data)
    if done.returncode:
        raise SystemExit(f"on {name}: {script}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


class SlurmNodes:
    """Nodes of Slurm: each has a slurmd of its own on the host `where`, and runs jobs for real."""

    def __init__(self, lab: labs.Lab, controller: str, where: str) -> None:
        self._lab, self._controller, self._where = lab, controller, where
        self._running = 0

    def grow(self, size: int) -> float:
        """Have that many nodes; seconds until all of them are idle."""
        address = self._lab.host(self._where).address
        lines = [
            f"NodeName=sim{node} NodeAddr={address} Port={_PORTS + node} CPUs=4 RealMemory=16384"
            for node in range(1, size + 1)
        ]
        started = time.monotonic()
        configure, start = ((_SCRIPTS / name).read_text() for name in ("configure", "start"))
        host(self._lab, self._controller, configure, data="\n".join([_MARK, *lines, ""]))
        host(self._lab, self._where, start, self._controller, self._where, str(self._running + 1), str(size))
        self._running = size
        while self._idle() < size:
            if time.monotonic() - started > _PATIENCE:
                raise SystemExit(f"not all of {size} nodes of Slurm are idle within {_PATIENCE} s")
            time.sleep(0.5)
        return time.monotonic() - started

    def _idle(self) -> int:
        # The host's own node is taken out of service, so that Jobs run on the simulated ones.
        drain = f"scontrol update nodename={self._where} state=drain reason=benchmark; "
        count = "sinfo --noheader --states=idle --format=%D"
        return sum(map(int, host(self._lab, self._controller, drain + count).split()))


@contextmanager
def kwok(kubeconfig: Path, log: Path) -> Iterator[None]:
    """kwok at work: it plays the kubelet of every node that is marked as fake."""
    program = gobuild.program(_MODULE, "kwok", "sigs.k8s.io/kwok/cmd/kwok")
    stages = module_sources(_MODULE, "sigs.k8s.io/kwok") / "kustomize/stage"
    ((key, value),) = _FAKE.items()
    selector = f"--manage-nodes-with-annotation-selector={key}={value}"
    with log.open("w") as said:
        command: list[str | Path] = [
            program,
            "--kubeconfig",
            kubeconfig,
            "--manage-all-nodes=false",
            selector,
        ]
        for folder in _STAGES:
            command += [f"--config={path}" for path in sorted((stages / folder).glob("*-*.yaml"))]
        command.append(f"--config={_SCRIPTS / 'pod-ready-again.yaml'}")
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


async def grow_kubernetes(root: KubernetesClient, before: int, size: int) -> float:
    """Have `size` fake nodes where there were `before`; seconds until all are ready, daemons too."""
    started = time.monotonic()
    for number in range(before + 1, size + 1):
        await root.create("/api/v1/nodes", _node(f"fake{number}"))
    while await _ready(root) < size or await _missing(root):
        if time.monotonic() - started > _PATIENCE:
            raise SystemExit(f"not all of {size} fake nodes are ready within {_PATIENCE} s")
        await asyncio.sleep(0.5)
    return time.monotonic() - started


async def _ready(root: KubernetesClient) -> int:
    nodes = (await root.get("/api/v1/nodes", labelSelector="type=fake"))["items"]
    conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
    return sum((found["type"], found["status"]) == ("Ready", "True") for found in conditions)


async def _missing(root: KubernetesClient) -> bool:
    """Whether a pod of a DaemonSet is still to come: a lab's only ones, of its network, are on every node.

    Their own count of wanted pods lags behind the nodes, and a site that lacks some is not healthy.
    """
    nodes = len((await root.get("/api/v1/nodes"))["items"])
    daemons = (await root.get("/apis/apps/v1/daemonsets"))["items"]
    return any(found["status"]["numberReady"] < nodes for found in daemons)


def _node(name: str) -> dict[str, Any]:
    labels = {"type": "fake", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": _FAKE},
        "status": {"capacity": _SIZE, "allocatable": _SIZE},
    }
