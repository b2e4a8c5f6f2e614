"""Stand-in hosts that answer the questions of health checks: everything is fine, except what a test says."""

import asyncio
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from platformctl.engine.checking.proofs import Wanted, all_of, asking, kubernetes, slurm
from platformctl.engine.checking.proofs.health_check import Place
from platformctl.engine.fleet import LOCALHOST, Connection, Fleet
from platformctl.engine.remote import Reply

DOWN = Reply(255, "", "ssh: connect: No route to host")


class Site:
    """A site of which every stage is applied on every host. Asked instead of `remote.run`.

    bad: exit status and words by (host, key of a question). down: hosts that do not answer. bare: hosts to
    which nothing is applied. unrecorded: stages that a host has just run. nodes, slurm: what the schedulers
    say.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.bad: dict[tuple[str, str], tuple[int, str]] = {}
        self.down: set[str] = set()
        self.bare: set[str] = set()
        self.unrecorded: set[tuple[str, str]] = set()
        self.scripts: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.slurm = dict.fromkeys(fleet.members("slurm_node"), ("idle", "none"))
        self.slurmctld = 0
        self.accounting = 0
        self.api = 0
        members = [*fleet.members("kubernetes_control_plane"), *fleet.members("kubernetes_node")]
        self.nodes = {name: ready_node(name, fleet.hosts[name].connection.address) for name in members}
        self.deployments = [
            deployment("coredns", "kube-system"),
            deployment("job-router", "platform-system"),
            {
                "kind": "DaemonSet",
                "metadata": {"name": "flannel", "namespace": "kube-flannel"},
                "status": dict.fromkeys(
                    ("numberReady", "desiredNumberScheduled", "updatedNumberScheduled"), len(members)
                ),
            },
        ]
        self.services: list[dict[str, Any]] = []
        self.seconds: set[float] = set()

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        """What the host with this connection answers."""
        await asyncio.sleep(0)
        host = next(host.name for host in self.fleet.hosts.values() if host.connection == connection)
        self.scripts.append((host, script))
        self.seconds.add(seconds)
        if host in self.down:
            return DOWN
        recorded = [] if host in self.bare else self.applied(host)
        assumed = re.findall(r'^applied="\$\{applied\}(\w+) "$', script, re.MULTILINE)
        applied = [*(stage for stage in recorded if (host, stage) not in self.unrecorded), *assumed]
        lines = [f"applied {' '.join(applied)}"]
        for key, stages, text in questions(script):
            if set(stages) <= set(applied):
                self.asked.append((host, key))
                code, output = self._answer(host, key, text)
                lines += [f"answer {key} {code}", *(f" {line}" for line in output.splitlines())]
        return Reply(0, "\n".join(lines) + "\n", "")

    def applied(self, host: str) -> list[str]:
        """The stages that the host keeps the record of."""
        from platformctl.engine.stages import STAGES

        found = []
        for stage in STAGES:
            targets = stage.targets(self.fleet)
            if any(stage.recorded_on(self.fleet, target) == host for target in targets):
                found.append(stage.name)
        return found

    def _answer(self, host: str, key: str, text: str) -> tuple[int, str]:
        if kubernetes.CLUSTER in text:
            return (self.api, json.dumps(self.document())) if not self.api else (self.api, "refused")
        if text == slurm.CLUSTER:
            return (self.slurmctld, self.sinfo()) if not self.slurmctld else (self.slurmctld, "refused")
        if "sacctmgr" in text:
            return self.accounting, "" if not self.accounting else "no database"
        return self.bad.get((host, key), (0, "fine"))

    def sinfo(self) -> str:
        """What the controller says of the nodes."""
        lines = [f"{name}|{state}|24.11.5|main|{reason}" for name, (state, reason) in self.slurm.items()]
        return "\n".join(["Slurmctld(primary) at ctl1 is UP", "--", *lines])

    def document(self) -> Mapping[str, Any]:
        """What the API knows."""
        return {
            "nodes": {"items": list(self.nodes.values())},
            "deployments": {"items": self.deployments},
            "services": {"items": self.services},
            "version": {"serverVersion": {"gitVersion": "v1.35.0"}},
        }


def questions(script: str) -> Iterable[tuple[str, list[str], str]]:
    """Key, stages and text of the questions in a script."""
    for part in re.split(r"^(?=question )", script.partition("\nwait\nfor code in")[0], flags=re.MULTILINE)[
        1:
    ]:
        _, key, stages, _, text = shlex.split(part)
        yield key, stages.split(), text


def of_hosts(fleet: Fleet) -> list[tuple[str, Wanted]]:
    """All questions to hosts themselves, with the host."""
    return [
        (host, each)
        for each in all_of(fleet)
        if each.check.place is Place.HOST
        for host in each.hosts
        if host != LOCALHOST and each.check.script(fleet, fleet.hosts[host])
    ]


def key(each: Wanted) -> str:
    """The key of a question."""
    return asking.key(each.stage, each.check)


def ready_node(name: str, address: str, ready: str = "True") -> dict[str, Any]:
    """What the API says of a node."""
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "message": f"kubelet says {ready}"}],
            "addresses": [{"type": "InternalIP", "address": address}],
            "nodeInfo": {"kubeletVersion": "v1.35.0"},
        },
    }


def deployment(name: str, namespace: str, ready: int = 1) -> dict[str, Any]:
    """What the API says of a Deployment with one replica."""
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1},
        "status": {
            "readyReplicas": ready,
            "updatedReplicas": 1,
            "conditions": [{"type": "Available", "status": str(bool(ready))}],
        },
    }
