"""What platformctl itself costs by the number of hosts: 10, 100 and 1,000 simulated ones."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from platformctl import paths
from platformctl.engine import graph, loading, remote
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import digest, fingerprints
from platformctl.engine.planning.record import Records
from platformctl.engine.running import scheduler, steps
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.session import Session
from platformctl.engine.stages import STAGES, Stage, StageRunner
from tests.benchmarks.figures import Figures
from tests.labs import PLATFORMCTL, inventory, platformctl

NAME = "fleet"
ABOUT = (
    "platformctl on a fleet of simulated hosts, on the same machine, which pays for both ends of each "
    "connection. First: nothing is recorded and no connection open; later commands find ssh's connections "
    "open. No change: every host has recorded that all of its stages are applied. Facts: Ansible's setup on "
    "all hosts, as stages run playbooks. Scheduling: all stages on all hosts, each doing nothing."
)
RUNS = 1
_SIZES = (10, 100, 1000)
_FRESH = (("validate", "validate"), ("plan, first", "plan"), ("plan", "plan"), ("preflight", "preflight"))
_RECORDED = (("plan, no change", "plan"), ("install, no change", "install"))
_AT = "2026-01-01T00:00:00+00:00"
_WORK = 20000
# What changes in the inventory, so that every running job and every pod ends.
_HARMFUL = "slurm_controller_port: 6877\nkubernetes_pod_network: 198.18.0.0/16\n"
# Programs that answer as the schedulers would, from a file: the fleet has no services.
_STANDS_IN = "install -m 755 /dev/stdin /usr/local/bin/{name}"


def measure(figures: Figures) -> None:
    """One run."""
    for size in _SIZES:
        name = f"bench-fleet{size}"
        platformctl("lab", "down", "--name", name)
        started = time.monotonic()
        platformctl("lab", "fleet", str(size), "--name", name)
        figures.add(f"boot, {size} hosts", time.monotonic() - started, "s")
        try:
            _one(figures, inventory(name), size)
        finally:
            platformctl("lab", "down", "--name", name)


def _one(figures: Figures, site: Path, size: int) -> None:
    _commands(figures, site, size, _FRESH)
    fleet = loading.load(site)
    figures.add(f"facts, {size} hosts", asyncio.run(_facts(fleet)), "s")
    figures.add(f"scheduling, {size} hosts", asyncio.run(_scheduling(fleet)), "s")
    asyncio.run(_record(fleet))
    _commands(figures, site, size, _RECORDED)
    asyncio.run(_work(fleet))
    with (site / "group_vars/all/harmful.yml").open("w") as settings:
        settings.write(_HARMFUL)
    what = f"plan of a change that ends {_WORK} jobs and {_WORK} pods"
    _commands(figures, site, size, ((what, "plan"),))


def _commands(figures: Figures, site: Path, size: int, commands: tuple[tuple[str, str], ...]) -> None:
    for what, command in commands:
        seconds, mebibytes = _cost(command, "-i", str(site))
        figures.add(f"{what}, {size} hosts", seconds, "s")
        if size == _SIZES[-1]:
            figures.add(f"{what}, {size} hosts, memory", mebibytes, "MiB")


def _cost(*arguments: str) -> tuple[float, float]:
    """Seconds, and the most memory of platformctl itself in MiB; a failure ends the benchmark."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen([PLATFORMCTL, *arguments], stdout=said, stderr=said)
        _, code, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if code:
            said.seek(0)
            sys.exit(f"{' '.join(arguments)} failed:\n{said.read().decode()[-4000:]}")
    return seconds, used.ru_maxrss / 1024


async def _facts(fleet: Fleet) -> float:
    """Seconds of a playbook that gathers the facts of all hosts."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / "playbooks").symlink_to(Path(__file__).parent / "playbooks")
        with Journal(Path(folder) / "run", Redactor(fleet.secrets), lambda _: None) as journal:
            result = await Session(fleet, data, journal).run("facts", tuple(fleet.hosts))
    failed = [host for host, end in result.hosts.items() if not end.status.fine]
    if failed:
        sys.exit(f"facts were not gathered on {', '.join(failed[:5])}")
    return result.seconds


async def _work(fleet: Fleet) -> None:
    """Let the schedulers' programs on the first controllers tell of much work on all nodes."""
    slurm = [name for name, host in fleet.hosts.items() if "slurm_node" in host.groups]
    kubernetes = [name for name, host in fleet.hosts.items() if "kubernetes_node" in host.groups]
    jobs = "".join(
        f"{number}|user{number % 50}|main|RUNNING|1:00:00|{slurm[number % len(slurm)]}|(null)\n"
        for number in range(1, _WORK + 1)
    )
    pods = "".join(
        f"team{number % 50}|pod{number}|{kubernetes[number % len(kubernetes)]}|2026-01-01T00:00:00Z|Job"
        f'|work{number}|{{"app":"app{number % 500}"}}|{{"requests":{{"cpu":"1","memory":"1Gi"}}}}|\n'
        for number in range(_WORK)
    )
    squeue = f'case "$*" in *--Format=*) ;; *) cat <<"END"\n{jobs}END\n;; esac\n'
    kubectl = f'case "$*" in *"get pods"*) cat <<"END"\n{pods}END\n;; esac\n'
    for group, name, script in (
        ("slurm_controller", "squeue", squeue),
        ("kubernetes_control_plane", "kubectl", kubectl),
    ):
        host = fleet.first(group)
        assert host
        reply = await remote.run(host.connection, _STANDS_IN.format(name=name), f"#!/bin/sh\n{script}")
        if reply.code:
            sys.exit(f"{name} was not made on {host.name}: {reply.message}")


async def _scheduling(fleet: Fleet) -> float:
    """Seconds of running all stages of a fresh site, where no stage does anything."""

    async def execute(stage: Stage, hosts: tuple[str, ...]) -> StageResult:
        return StageResult(stage.name, dict.fromkeys(hosts, HostResult(Status.OK)))

    stages = graph.ordered(STAGES)
    work = {stage.name: targets for stage in stages if (targets := stage.targets(fleet))}
    started = time.monotonic()
    await scheduler.run(stages, work, execute, {})
    return time.monotonic() - started


async def _record(fleet: Fleet) -> None:
    """Let every host record that all of its stages are applied, as an installation would."""
    records = Records({})
    index, data = steps.index(fleet), paths.data_dir()
    for stage in graph.ordered(STAGES):
        if stage.runner in (StageRunner.PREFLIGHT, StageRunner.ARTIFACTS):
            continue
        present = digest.StageDigest(stage, fleet, data, index, salt=records.salt)
        for host in stage.targets(fleet):
            if keeper := stage.recorded_on(fleet, host):
                secrets = fingerprints.ended({}, present.prints(host), _AT)
                entry = {"parts": dict(present.parts(host)), "secrets": secrets, "at": _AT}
                records.stages.setdefault(keeper, {})[stage.name] = entry
    # Storing one stage writes those that were there before it as well.
    base = digest.StageDigest(_stage("base"), fleet, data, index, salt=records.salt)
    replies = await remote.together(
        records.store(host, "base", base.parts(host.name), base.prints(host.name))
        for host in fleet.hosts.values()
    )
    if failed := [reply.message for reply in replies if reply.code]:
        sys.exit(f"hosts did not record: {failed[0]}")


def _stage(name: str) -> Stage:
    return next(stage for stage in STAGES if stage.name == name)
