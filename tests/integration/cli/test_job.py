"""What a person can do with Jobs from the command line, with no other rights than their own."""

import asyncio
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from platformctl.clients.kubernetes import KubernetesClient, NotFoundError, from_kubeconfig
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import job_path
from tests.foundry import EXAMPLE
from tests.integration.cli.conftest import Run, Write, write_status
from tests.integration.control_plane import ControlPlane

SCRIPT = "#!/bin/sh\ndate\n"
SCRIPTS = Path(__file__).parents[2] / "unit/jobs/sbatch"


def failed(result: Result) -> PlatformError:
    """The error that the command ended with."""
    assert isinstance(result.exception, PlatformError), result.output
    return result.exception


def submit(run: Run, who: str, *words: str) -> str:
    """Submit a script; returns the Job's name."""
    (found,) = json.loads(run(who, "submit", "-", *words, text=SCRIPT, json=True).stdout)
    return str(found["name"])


async def read(plane: ControlPlane, name: str) -> dict[str, Any]:
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig("alice"))) as client:
        return await client.get(job_path("default", name))


def test_a_person_submits_and_sees_their_own_jobs(run: Run) -> None:
    mine, other = submit(run, "alice"), submit(run, "bob")
    listed = json.loads(run("alice", "list", json=True).stdout)
    assert [(job["name"], job["submitter"], job["phase"]) for job in listed] == [(mine, "alice", "Pending")]
    everybody = run("alice", "list", "--all").stdout
    assert mine in everybody
    assert other in everybody
    assert "the router has not seen it yet" in run("alice", "describe", mine).stdout


def test_the_example_is_submitted_as_it_stands(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pi.yaml").write_text(EXAMPLE)
    (found,) = json.loads(run("alice", "submit", str(tmp_path / "pi.yaml"), json=True).stdout)
    assert found["name"].startswith("k-foundry-example")


@pytest.mark.parametrize("name", ["array", "chain", "gpu", "mpi", "plain"])
def test_an_imported_script_is_taken_by_the_cluster(run: Run, name: str) -> None:
    ids = [f"--job={number}=other" for number in (4711, 4712, 4713)]
    done = run("alice", "import", str(SCRIPTS / f"{name}.sh"), "--submit", *ids, json=True)
    (found,) = json.loads(done.stdout)
    (job,) = [
        job for job in json.loads(run("alice", "list", json=True).stdout) if job["name"] == found["name"]
    ]
    assert job["phase"] == "Pending"


def test_what_the_router_wrote_is_shown(run: Run, write: Write) -> None:
    name = submit(run, "alice", "--name", "told")
    status = {
        "phase": "Failed",
        "reason": "it ended with exit code 3",
        "backend": "slurm",
        "backendId": "4711",
        "attempt": 1,
        "user": "alice",
        "exitCode": 3,
        "startTime": "2026-01-01T10:00:00Z",
        "completionTime": "2026-01-01T10:00:45Z",
        "output": "/home/alice/told-4711.out",
    }
    write(name, status)
    shown = run("alice", "describe", name).stdout
    for words in ("Failed", "slurm", "4711", "45s", "/home/alice/told-4711.out", "it ended with exit code 3"):
        assert words in shown
    assert "slurm 4711" in run("alice", "list", "--phase", "Failed").stdout
    assert "has failed on slurm" in run("alice", "explain", name).stdout


async def test_cancel_and_retry_are_asked_of_the_router(
    run: Run, control_plane: ControlPlane, write: Write
) -> None:
    import asyncio

    name = await asyncio.to_thread(submit, run, "alice")
    done = await asyncio.to_thread(run, "alice", "cancel", name)
    assert done.stdout == f"{name}: cancelling\n"
    job = await read(control_plane, name)
    assert job["metadata"]["annotations"]["kfoundry.io/cancel-requested"] == "true"
    await write_status(control_plane, name, {"phase": "Cancelled", "attempt": 1})
    assert (await asyncio.to_thread(run, "alice", "retry", name)).stdout == f"{name}: attempt 2 requested\n"
    annotations = (await read(control_plane, name))["metadata"]["annotations"]
    assert annotations["kfoundry.io/retry-requested"] == "1"
    assert "kfoundry.io/cancel-requested" not in annotations


def test_deleting_is_asked_too(run: Run) -> None:
    name = submit(run, "alice")
    assert run("alice", "cancel", "--delete", name).stdout == f"{name}: deleted\n"


@pytest.mark.parametrize("words", [("cancel",), ("cancel", "--delete")])
def test_nobody_ends_the_job_of_another(run: Run, words: tuple[str, ...]) -> None:
    name = submit(run, "alice")
    error = failed(run("bob", *words, name))
    assert error.code is ExitCode.REFUSED
    assert "only the submitter" in error.what


def test_errors_say_what_and_where_and_what_next(run: Run, control_plane: ControlPlane) -> None:
    missing = failed(run("alice", "describe", "nothing"))
    assert missing.code is ExitCode.FAILED
    assert '"nothing" not found' in missing.what
    assert missing.next == "platformctl job list --all -n default"
    assert control_plane.server in missing.where
    submit(run, "alice", "--name", "twice")
    twice = failed(run("alice", "submit", "-", "--name", "twice", text=SCRIPT))
    assert "already exists" in twice.what
    invalid = failed(run("alice", "submit", "-", "--name", "Not_A_Name", text=SCRIPT))
    assert invalid.code is ExitCode.INVALID
    forbidden = failed(run("alice", "list", "-n", "kube-system"))
    assert forbidden.code is ExitCode.REFUSED
    assert "kube-system" in forbidden.next
    assert "choose one with -n" in failed(run("alice", "top", "-A")).next


def test_a_stranger_is_told_so(run: Run, control_plane: ControlPlane, tmp_path: Path) -> None:
    config = control_plane.kubeconfig("alice").read_text().replace('"token": "alice"', '"token": "nobody"')
    (tmp_path / "config").write_text(config)
    error = failed(run("alice", "list", "--kubeconfig", str(tmp_path / "config")))
    assert error.code is ExitCode.REFUSED
    assert "credentials" in error.what


def test_a_cluster_that_is_away_is_unreachable(run: Run, control_plane: ControlPlane, tmp_path: Path) -> None:
    config = (
        control_plane.kubeconfig("alice").read_text().replace(control_plane.server, "https://127.0.0.1:9")
    )
    (tmp_path / "config").write_text(config)
    assert failed(run("alice", "list", "--kubeconfig", str(tmp_path / "config"))).code is ExitCode.UNREACHABLE


def test_names_are_completed_from_the_cluster(run: Run, control_plane: ControlPlane) -> None:
    from typer.testing import CliRunner

    from platformctl.cli.main import app

    submit(run, "alice", "--name", "complete-me")
    shell = {
        "_PLATFORMCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": "platformctl job describe comp",
        "COMP_CWORD": "3",
        "KUBECONFIG": str(control_plane.kubeconfig("alice")),
    }
    assert CliRunner().invoke(app, [], env=shell).stdout.split() == ["complete-me"]
    assert CliRunner().invoke(app, [], env={**shell, "KUBECONFIG": "/no/such"}).stdout.split() == []


async def _newest(plane: ControlPlane) -> str:
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig("alice"))) as client:
        return str((await client.get(job_path("default")))["metadata"]["resourceVersion"])


async def _once_written(plane: ControlPlane, name: str, since: str, statuses: list[dict[str, Any]]) -> None:
    """Write as soon as the Job is there; since: a resourceVersion from before it was."""
    async with KubernetesClient(from_kubeconfig(plane.kubeconfig("alice"))) as client:
        async for event in client.watch(job_path("default"), since, 30):
            if event["object"]["metadata"].get("name") == name:
                break
    for status in statuses:
        await write_status(plane, name, status)


def test_a_watched_job_is_followed_to_its_end(run: Run, control_plane: ControlPlane) -> None:
    statuses = [{"phase": "Queued", "reason": "waits for cores"}, {"phase": "Succeeded", "reason": ""}]
    since = asyncio.run(_newest(control_plane))
    with ThreadPoolExecutor(1) as router:
        written = router.submit(lambda: asyncio.run(_once_written(control_plane, "watched", since, statuses)))
        done = run("alice", "submit", "-", "--watch", "--name", "watched", text=SCRIPT)
        written.result(timeout=60)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "watched: Succeeded"


def test_a_suspended_job_is_resumed_once(run: Run) -> None:
    manifest = (
        '{"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": {"name": "held"}, '
        '"spec": {"script": "#!/bin/sh\\n", "suspend": true}}'
    )
    assert run("alice", "submit", "-", text=manifest).exit_code == 0
    assert run("alice", "resume", "held").stdout == "held: resumed\n"
    assert failed(run("alice", "resume", "held")).code is ExitCode.REFUSED


def test_without_the_logs_api_the_output_is_said_to_be_elsewhere(run: Run) -> None:
    name = submit(run, "alice")
    assert "does not serve the output" in failed(run("alice", "logs", name)).what


def test_what_is_refused_at_once_fails_and_says_why(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformctl.cli.job_wait._FIRST_SECONDS", 60)

    def refuse() -> None:
        for _ in range(300):
            with contextlib.suppress(NotFoundError):
                write("never", {"phase": "Refused", "reason": "spec: no node has cpu 4000"})
                return
            time.sleep(0.1)

    with ThreadPoolExecutor() as pool:
        pool.submit(refuse)
        error = failed(run("alice", "submit", "-", "--name", "never", "--cpus", "4000", text=SCRIPT))
    assert error.code is ExitCode.REFUSED
    assert "no node has cpu 4000" in str(error)


def test_what_is_typed_is_taken_by_the_cluster(run: Run) -> None:
    shape = ("--cpus", "2", "--memory", "1Gi", "--array", "0-3%2", "--retries", "1", "--walltime", "1h")
    more = ("--after", "a,b:finished", "--env", "A=1", "--label", "project=wind,x=y")
    script = submit(run, "alice", *shape, *more)
    image = ("--image", "perl:5", *shape, "--", "perl", "-E", "say 1")
    done = run("alice", "submit", "--label", "project=rain", *image, json=True)
    (container,) = json.loads(done.stdout)
    for selector, name in (("project=wind,x in (y,z)", script), ("project=rain", container["name"])):
        (found,) = json.loads(run("alice", "list", "-l", selector, json=True).stdout)
        assert found["name"] == name
    error = failed(run("alice", "list", "-l", "project in (a"))
    assert error.code is ExitCode.INVALID
    assert error.next == "write the label selector as in project=wind,stage!=test"
