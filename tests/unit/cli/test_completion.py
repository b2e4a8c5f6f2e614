"""What the shell is offered, asked as bash asks."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl import lab as labs
from platformctl import paths
from platformctl.cli.main import app
from platformctl.engine.stages import STAGES
from tests.unit.cli.conftest import MemoryJobs

Offer = Callable[[str], list[str]]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """The words offered for the last word of a command line; nothing may reach standard error."""
    monkeypatch.delenv("PLATFORMCTL_INVENTORY", raising=False)

    def offered(line: str) -> list[str]:
        words = line.split(" ")
        environment = {
            "_PLATFORMCTL_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        done = CliRunner().invoke(app, [], env=environment, prog_name="platformctl")
        assert done.stderr == ""
        return done.stdout.split()

    return offered


SITE = str(paths.data_dir() / "inventories" / "lab")


def test_stages_are_offered(offer: Offer) -> None:
    assert offer("platformctl install -i x --stage ") == [stage.name for stage in STAGES]
    assert offer("platformctl plan --stage slurm_n") == ["slurm_node"]


@pytest.mark.parametrize("command", ["install", "plan", "preflight", "reset"])
def test_hosts_and_groups_are_offered_for_the_last_pattern(offer: Offer, command: str) -> None:
    assert offer(f"platformctl {command} -i {SITE} --limit node") == ["node1", "node2"]
    assert offer(f"platformctl {command} -i {SITE} --limit ctl1,!slurm_n") == ["ctl1,!slurm_node"]


def test_hosts_are_offered_for_the_inventory_of_the_environment(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offer("platformctl install --limit ct") == []
    monkeypatch.setenv("PLATFORMCTL_INVENTORY", SITE)
    assert offer("platformctl install --limit ct") == ["ctl1"]


def test_an_inventory_with_mistakes_offers_its_hosts_and_a_broken_one_nothing(
    offer: Offer, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text("all:\n  hosts: {n1: {nonsense: 1}, n2: 3}\n")
    assert offer(f"platformctl install -i {tmp_path} --limit n") == ["n1", "n2"]
    (tmp_path / "hosts.yml").write_text(": : [")
    assert offer(f"platformctl install -i {tmp_path} --limit n") == []
    assert offer(f"platformctl install -i {tmp_path}/nothing --limit n") == []


@pytest.mark.parametrize("command", ["install", "status", "validate", "artifacts lock", "lab up"])
def test_folders_with_hosts_are_offered_as_inventories(
    offer: Offer, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sites/a/hosts.yml", "sites/b/hosts.yaml", "sites/c/notes.txt", "mysite/hosts.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("all:\n")
    monkeypatch.chdir(tmp_path)
    assert offer(f"platformctl {command} -i ") == ["mysite", "sites/a", "sites/b"]
    assert offer(f"platformctl {command} -i si") == ["sites/a", "sites/b"]
    assert offer(f"platformctl {command} -i ./sites/b") == ["./sites/b"]
    assert offer(f"platformctl {command} -i {tmp_path}/my") == [f"{tmp_path}/mysite"]
    assert offer(f"platformctl {command} -i nowhere/") == []


def test_queues_are_offered_from_the_users_cluster(offer: Offer, jobs: MemoryJobs) -> None:
    jobs.names = ["batch", "big", "gpu"]
    assert offer("platformctl job submit job.yaml --queue b") == ["batch", "big"]


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("gone"), RuntimeError("defect")])
def test_a_cluster_that_fails_offers_nothing(offer: Offer, jobs: MemoryJobs, error: Exception) -> None:
    jobs.error = error
    assert offer("platformctl job submit job.yaml --queue b") == []
    assert offer("platformctl job describe b") == []


def test_a_cluster_that_is_silent_is_given_up_soon(
    offer: Offer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://192.0.2.1:6443'}}]\nusers: [{name: a, user: {}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    started = time.monotonic()
    assert offer("platformctl job submit job.yaml --queue b") == []
    assert time.monotonic() - started < 5
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    assert offer("platformctl job submit job.yaml --queue b") == []


def test_labs_and_their_hosts_are_offered(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labs, "names", lambda: ["lab", "other"])
    assert offer("platformctl lab down --name o") == ["other"]
    monkeypatch.setattr(labs, "find", lambda _: None)
    assert offer("platformctl lab shell n") == []
