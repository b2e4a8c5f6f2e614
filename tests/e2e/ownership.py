"""Random things that happen to a node that can move: moves, kills, power cuts, edits, drains and cordons.

Each step knows what administrators have set, and checks after itself that this is still there.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable

import yaml

from platformctl import lab as labs
from platformctl.lab import faults
from tests.e2e.conftest import PLATFORMCTL, Site, platformctl

SIDES = ("kubernetes", "slurm")
_READY_SECONDS = 120


class Story:
    """What happens to one node, and what administrators have set on it meanwhile."""

    def __init__(self, site: Site, node: str, chance: random.Random) -> None:
        self.site, self.node, self.chance = site, node, chance
        self.drained, self.cordoned, self.held = "", False, False
        self.told: list[str] = []

    def step(self) -> None:
        """Let something happen."""
        happens: list[Callable[[], None]] = [
            self._move, self._move, self._killed_move, self._power_cut, self._edit,
            self._drain, self._cordon, self._hold,
        ]  # fmt: skip
        self.chance.choice(happens)()
        self._check()

    def settle(self, to: str) -> None:
        """Undo what was set, and give the node to a side."""
        if self.held:
            self._hold()
        if self.drained:
            self._drain()
        self._command("move", "--to", to)
        if self.cordoned:
            if to != "kubernetes":
                self._command("move", "--to", "kubernetes")
            self._cordon()
            self._command("move", "--to", to)

    def _move(self) -> None:
        to = self.chance.choice(SIDES)
        self._tell(f"moves to {to}")
        self._command("move", "--to", to, codes=(3,) if self.held else (0,))

    def _killed_move(self) -> None:
        to, seconds = self.chance.choice(SIDES), self.chance.uniform(0.5, 12)
        self._tell(f"moves to {to}, killed after {seconds:.1f} s")
        command = [PLATFORMCTL, "node", "move", "-i", str(self.site.inventory), self.node, "--to", to]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)

    def _power_cut(self) -> None:
        self._tell("loses its power for a moment")
        lab = labs.find(self.site.lab)
        assert lab is not None
        with faults.killed(lab, self.node):
            time.sleep(self.chance.uniform(0, 3))
        self.site.host(
            self.node, "timeout", str(_READY_SECONDS), "sh", "-c", "until systemctl is-system-running | "
            "grep -Eq 'running|degraded'; do sleep 0.5; done",
        )  # fmt: skip

    def _edit(self) -> None:
        path = self.site.inventory / "hosts.yml"
        document = yaml.safe_load(path.read_text())
        host = document["all"]["hosts"][self.node]
        host["node_owner"] = SIDES[host["node_owner"] == "kubernetes"]
        self._tell(f"has node_owner {host['node_owner']} in the inventory now")
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        done = platformctl("install", "--yes", "-i", str(self.site.inventory))
        assert done.returncode == 0, self.words + done.stdout + done.stderr

    def _drain(self) -> None:
        """An administrator drains it in Slurm, or ends that."""
        if self.drained:
            self._tell("is resumed in Slurm by an administrator")
            self.site.host("ctl1", "scontrol", "update", f"nodename={self.node}", "state=resume")
            self.drained = ""
        elif not self._flags() & {"DRAIN"}:
            self.drained = self.chance.choice(["cables", "platformctl: moves to Kubernetes (000000)"])
            self._tell(f"is drained in Slurm by an administrator: {self.drained}")
            words = (f"nodename={self.node}", "state=drain", f"reason={self.drained}")
            self.site.host("ctl1", "scontrol", "update", *words)

    def _cordon(self) -> None:
        """An administrator cordons it, or ends that; only where Kubernetes has it."""
        if not self.site.kubectl("get", "node", self.node, "--ignore-not-found", "--output=name"):
            return
        verb = "uncordon" if self.cordoned else "cordon"
        self._tell(f"is {verb}ed by an administrator")
        self.site.kubectl(verb, self.node)
        self.cordoned = not self.cordoned

    def _hold(self) -> None:
        """`node drain`, and back."""
        if self.held:
            self._tell("is put back into service")
            self._command("undrain")
        else:
            self._tell("is taken out of service")
            self._command("drain", "--reason", "a test")
        self.held = not self.held

    def _check(self) -> None:
        if self.drained:
            shown = self.site.host("ctl1", "scontrol", "show", "node", self.node)
            assert f"Reason={self.drained} " in shown, self.words + shown
            assert "DRAIN" in self._flags(), self.words + shown
        node = self.site.kubectl(
            "get", "node", self.node, "--ignore-not-found", "--output=jsonpath={.metadata.name} {.spec}"
        )
        if self.cordoned and node:
            assert '"unschedulable":true' in node, self.words + node

    def _flags(self) -> set[str]:
        shown = self.site.host("ctl1", "scontrol", "--oneliner", "show", "node", self.node)
        return set(shown.partition(" State=")[2].split()[0].replace("*", "").split("+"))

    def _command(self, verb: str, *options: str, codes: tuple[int, ...] = (0,)) -> None:
        command = ("node", verb, "-i", str(self.site.inventory), self.node, *options)
        done = platformctl(*command)
        assert done.returncode in codes, self.words + done.stdout + done.stderr

    def _tell(self, words: str) -> None:
        self.told.append(words)

    @property
    def words(self) -> str:
        """What has happened so far, a line each."""
        return "".join(f"{self.node} {words}\n" for words in self.told)
