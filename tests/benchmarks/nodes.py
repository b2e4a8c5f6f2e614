"""What a site costs by the number of its nodes: 10, 100 and 1,000 of Slurm, then of Kubernetes."""

import asyncio
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from shutil import copytree, ignore_patterns

import uvloop

from platformctl import lab as labs
from platformctl import paths
from platformctl.clients.kubernetes import KubernetesClient, from_kubeconfig
from tests.benchmarks import simulated_nodes
from tests.benchmarks.figures import Figures
from tests.benchmarks.runs import platformctl
from tests.benchmarks.simulated_nodes import SlurmNodes, host
from tests.labs import lab

NAME = "nodes"
ABOUT = (
    "An installed site of three hosts whose schedulers have many more nodes. Those of Slurm are slurmds "
    "beside each other on one host, which run jobs for real; those of Kubernetes are played by kwok, which "
    "says that pods run and end. Jobs are a user's, by the API server and the router. All on one machine."
)
RUNS = 1
_SIZES = (10, 100, 1000)
_BURST = 200
_LAB = "bench-nodes"
_CONTROL, _KUBERNETES, _SLURM = "ctl1", "node1", "node2"
# Room for a range of addresses for each node.
_PODS = "kubernetes_pod_network: 10.192.0.0/12"
_JOBS = "/apis/kfoundry.io/v1alpha1/namespaces/default/jobs"
_ROUTER = "job router"
_SCHEDULERS = {"slurm": "slurmctld", "kubernetes": "kube-scheduler"}
# How their command lines begin, on whichever host they are; the shell that looks for them begins otherwise.
_COMMANDS = {
    "slurmctld": "^/usr/sbin/slurmctld",
    "kube-scheduler": "^kube-scheduler",
    _ROUTER: "^python3 -m platformctl.router",
}
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_PATIENCE = 600


def measure(figures: Figures) -> None:
    """One run: a lab for each side, so that the nodes of one take nothing from the other."""
    for use in (_slurm, _kubernetes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with lab(_LAB, "--inventory", str(_site(folder / "site"))) as inventory:
                platformctl("install", "--yes", "-i", str(inventory))
                uvloop.run(use(figures, inventory, folder))


async def _slurm(figures: Figures, inventory: Path, folder: Path) -> None:
    nodes = SlurmNodes(_made(), _CONTROL, _SLURM)
    async with KubernetesClient(from_kubeconfig(_kubeconfig(inventory, folder, "alice"))) as alice:
        for size in _SIZES:
            figures.add(f"slurm, {size} nodes: until all are idle", nodes.grow(size), "s")
            await _use(figures, inventory, alice, "slurm", size)


async def _kubernetes(figures: Figures, inventory: Path, folder: Path) -> None:
    alice_file, root_file = (_kubeconfig(inventory, folder, user) for user in ("alice", None))
    async with (
        KubernetesClient(from_kubeconfig(alice_file)) as alice,
        KubernetesClient(from_kubeconfig(root_file)) as root,
    ):
        await root.merge(f"/api/v1/nodes/{_KUBERNETES}", {"spec": {"unschedulable": True}})
        with simulated_nodes.kwok(root_file, folder / "kwok.log"):
            for before, size in pairwise((0, *_SIZES)):
                grown = await simulated_nodes.grow_kubernetes(root, before, size)
                figures.add(f"kubernetes, {size} nodes: until all are ready", grown, "s")
                await _use(figures, inventory, alice, "kubernetes", size)


def _made() -> labs.Lab:
    made = labs.find(_LAB)
    assert made
    return made


def _kubeconfig(inventory: Path, folder: Path, user: str | None) -> Path:
    """A new configuration of a user's, or of the cluster's administrator."""
    file = folder / (user or "root")
    whose = ("--user", user) if user else ()
    platformctl("kubeconfig", "-i", str(inventory), *whose, "--file", str(file))
    return file


async def _use(figures: Figures, inventory: Path, alice: KubernetesClient, target: str, size: int) -> None:
    """What people do with a site of that many nodes."""
    made = _made()
    where = f"{target}, {size} nodes"
    figures.add(f"{where}: status", platformctl("status", "-i", str(inventory)).seconds, "s")
    figures.add(f"{where}: one Job, created to ended", await _jobs(alice, target, 1), "s")
    before = {daemon: _used(made, daemon) for daemon in (_SCHEDULERS[target], _ROUTER)}
    figures.add(f"{where}: {_BURST} Jobs, created to ended", await _jobs(alice, target, _BURST), "s")
    for daemon, (seconds, _) in before.items():
        used, mebibytes = _used(made, daemon)
        figures.add(f"{where}: processor of {daemon} for them", used - seconds, "s")
        figures.add(f"{where}: memory of {daemon}", mebibytes, "MiB")


async def _jobs(alice: KubernetesClient, target: str, count: int) -> float:
    """Seconds from the creation of the first of many Jobs to the end of the last."""
    spec = {"script": "#!/bin/sh\ndate\n", "target": target, "walltime": "10m"}
    job = {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "spec": spec}
    started = time.monotonic()
    names = set()
    for _ in range(count):
        created = await alice.create(_JOBS, {**job, "metadata": {"generateName": "nodes-"}})
        names.add(created["metadata"]["name"])
    waiting = set(names)
    while waiting:
        if time.monotonic() - started > _PATIENCE:
            raise SystemExit(f"{len(waiting)} of {count} Jobs did not end within {_PATIENCE} s")
        await asyncio.sleep(0.5)
        async for page in alice.list_pages(_JOBS):
            for item in page["items"]:
                phase = (item.get("status") or {}).get("phase")
                if phase == "Failed":
                    raise SystemExit(f"{item['metadata']['name']}: {item['status'].get('message')}")
                waiting -= {item["metadata"]["name"]} if phase == "Succeeded" else set()
    seconds = time.monotonic() - started
    for name in names:
        await alice.delete(f"{_JOBS}/{name}")
    return seconds


def _used(made: labs.Lab, daemon: str) -> tuple[float, float]:
    """Seconds of processor time that a daemon used so far, and MiB that it holds, wherever it runs."""
    read = 'for pid in $(pgrep --full "$1"); do cat "/proc/$pid/stat"; done'
    lines = [
        line.rpartition(")")[2].split()
        for where in (_CONTROL, _KUBERNETES)
        for line in host(made, where, read, _COMMANDS[daemon]).splitlines()
    ]
    if not lines:
        raise SystemExit(f"no {daemon} runs")
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in lines)
    return ticks / _TICKS, sum(int(fields[21]) for fields in lines) * _PAGE / 2**20


def _site(folder: Path) -> Path:
    """The lab's site, with room for many nodes."""
    copytree(paths.data_dir() / "inventories/lab", folder, ignore=ignore_patterns("secrets.vault"))
    variables = folder / "group_vars/all/kubernetes.yml"
    kept = [
        line for line in variables.read_text().splitlines() if not line.startswith("kubernetes_pod_network")
    ]
    variables.write_text("\n".join([*kept, _PODS, ""]))
    return folder
