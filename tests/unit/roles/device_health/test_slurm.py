"""Slurm's side against a Slurm that is played: our drain comes and goes, nobody else's is touched."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.roles.device_health.package import module

health = module("health")
slurm = module("slurm")
UnansweredError = module("follower").UnansweredError
WHY, MORE = (
    "platformctl: device fault: nvidia0: Xid 79",
    "platformctl: device fault: nvidia0: Xid 79; nvidia1: gone",
)


class Slurm:
    """One node, as slurmctld has it. dies: fail after the next change, as if we were killed."""

    def __init__(self) -> None:
        self.flags = {"IDLE"}
        self.reason = ""
        self.time = 0
        self.changes: list[list[str]] = []
        self.answers = True
        self.dies = False

    def run(self, words: Sequence[str]) -> str:
        if not self.answers:
            raise UnansweredError("slurmctld does not answer")
        if words[1] == "update":
            self.changes.append(list(words[3:]))
            for key, _, value in (word.partition("=") for word in words[3:]):
                self.change(key, value)
            if self.dies:
                raise UnansweredError("killed")
            return ""
        shown = f" Reason={self.reason} [root@2026-11-29T10:00:{self.time:02}]" if self.reason else ""
        return (
            f"NodeName=n1 Arch=x86_64 State={'+'.join(sorted(self.flags, reverse=True))} Owner=N/A{shown}\n"
        )

    def change(self, key: str, value: str) -> None:
        if key == "reason":
            # As scontrol does it.
            self.reason = value.removeprefix('"').removesuffix('"').strip()
            self.time += 1
        elif value == "drain":
            self.flags.add("DRAIN")
        else:
            self.flags.discard("DRAIN")
            self.reason = ""

    def by_admin(self, reason: str) -> None:
        self.change("reason", reason)
        self.flags.add("DRAIN")


@pytest.fixture
def cluster() -> Slurm:
    return Slurm()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "drain.json"


def test_a_fault_drains_the_node_and_its_end_resumes_it(cluster: Slurm, note: Path) -> None:
    node = slurm.Node("n1", note, cluster.run)
    assert node.bring("") is None
    assert cluster.changes == []
    node.bring(WHY)
    assert (cluster.flags, cluster.reason) == ({"IDLE", "DRAIN"}, WHY)
    node.bring(WHY)
    assert len(cluster.changes) == 1
    node.bring(MORE)
    assert cluster.reason == MORE
    assert node.bring("") is None
    assert (cluster.flags, cluster.reason, note.exists()) == ({"IDLE"}, "", False)


def test_a_drain_ends_whatever_the_device_was_said_to_have(cluster: Slurm, note: Path) -> None:
    node = slurm.Node("n1", note, cluster.run)
    node.bring(health.text({"/dev/a": ' the card says "broken"\n'}))
    assert cluster.reason == "platformctl: device fault: a: the card says 'broken'"
    node.bring("")
    assert (cluster.flags, cluster.reason) == ({"IDLE"}, "")


def test_a_drain_of_somebody_else_stays_and_ours_comes_after_it(cluster: Slurm, note: Path) -> None:
    cluster.by_admin("new memory")
    node = slurm.Node("n1", note, cluster.run)
    assert node.bring(WHY) == slurm.PENDING_SECONDS
    assert node.bring("") is None
    assert cluster.reason == "new memory"
    node.bring(WHY)
    cluster.change("state", "resume")
    node.bring(WHY)
    assert cluster.reason == WHY
    assert cluster.changes == [[f"reason={WHY}", "state=drain"]]


@pytest.mark.parametrize("reason", ["new memory", WHY])
def test_a_drain_that_replaced_ours_stays(cluster: Slurm, note: Path, reason: str) -> None:
    node = slurm.Node("n1", note, cluster.run)
    node.bring(WHY)
    cluster.by_admin(reason)
    node.bring("")
    assert (cluster.reason, "DRAIN" in cluster.flags) == (reason, True)
    assert not note.exists()


def test_a_node_that_somebody_resumed_is_drained_again(cluster: Slurm, note: Path) -> None:
    node = slurm.Node("n1", note, cluster.run)
    node.bring(WHY)
    cluster.change("state", "resume")
    node.bring(WHY)
    assert cluster.reason == WHY


def test_a_node_that_is_down_is_left_to_whoever_set_it_down(cluster: Slurm, note: Path) -> None:
    cluster.flags = {"DOWN"}
    cluster.reason = "a bad power supply"
    node = slurm.Node("n1", note, cluster.run)
    assert node.bring(WHY) == slurm.PENDING_SECONDS
    assert cluster.changes == []


def test_our_drain_waits_with_its_end_until_the_node_is_up(cluster: Slurm, note: Path) -> None:
    node = slurm.Node("n1", note, cluster.run)
    node.bring(WHY)
    cluster.flags |= {"DOWN"}
    assert node.bring("") == slurm.PENDING_SECONDS
    cluster.flags -= {"DOWN"}
    node.bring("")
    assert cluster.flags == {"IDLE"}


def test_a_reason_without_a_drain_returns(cluster: Slurm, note: Path) -> None:
    cluster.change("reason", "watch its fan")
    node = slurm.Node("n1", note, cluster.run)
    node.bring(WHY)
    node.bring(MORE)
    node.bring("")
    assert (cluster.flags, cluster.reason) == ({"IDLE"}, "watch its fan")


def test_a_kill_right_after_the_drain_leaves_it_ours(cluster: Slurm, note: Path) -> None:
    cluster.dies = True
    with pytest.raises(UnansweredError):
        slurm.Node("n1", note, cluster.run).bring(WHY)
    cluster.dies = False
    again = slurm.Node("n1", note, cluster.run)
    again.bring("")
    assert cluster.flags == {"IDLE"}


def test_our_drain_is_known_after_a_boot(cluster: Slurm, note: Path) -> None:
    slurm.Node("n1", note, cluster.run).bring(WHY)
    slurm.Node("n1", note, cluster.run).bring("")
    assert cluster.flags == {"IDLE"}


@pytest.mark.parametrize("said", ["", "Node n1 not found", "NodeName=n10 State=IDLE", "NodeName=n1 Arch=x"])
def test_what_is_no_answer_changes_nothing(said: str, note: Path) -> None:
    with pytest.raises(UnansweredError):
        slurm.Node("n1", note, lambda _words: said).bring(WHY)
    assert not note.exists()
