"""What `plan` says an edit does to running work, and what it does then.

Each test starts jobs and pods, edits the inventory, asks `plan` whom that harms, and compares this with whom
it harmed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Site, changed_variables, platformctl

NODE = "node2"
_POD = "web"
_BUSYBOX = "docker.io/library/busybox:1.37"


@pytest.fixture
def jobs(site: Site) -> Iterator[list[str]]:
    """The jobs that a test starts; they are ended afterwards, and the site is what its inventory says."""
    started: list[str] = []
    yield started
    if started:
        site.host("ctl1", "scancel", *started)
    site.run("install", "--yes")


def _submit(site: Site, jobs: list[str], *options: str, seconds: int = 600, runs: bool = True) -> str:
    submit = f"sbatch --parsable --no-requeue --output=/dev/null {' '.join(options)} --wrap='sleep {seconds}'"
    job = site.shell("ctl1", submit, "alice").strip()
    jobs.append(job)
    if runs:
        running = f"until squeue --noheader --states=running --jobs={job} | grep -q .; do sleep 0.2; done"
        site.host("ctl1", "timeout", "60", "sh", "-c", running)
    return job


def _state(site: Site, job: str) -> str:
    """The state of a job by slurmctld; a job that is ending has ended."""
    return site.host("ctl1", "squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}").strip()


def _going_on(site: Site, jobs: list[str]) -> set[str]:
    return {job for job in jobs if _state(site, job) in ("RUNNING", "PENDING")}


@contextmanager
def _edited(site: Site, **values: Any) -> Iterator[None]:
    """The inventory with other variables of the Slurm node, and as it was to the letter afterwards."""
    path = site.inventory / "hosts.yml"
    before = path.read_text()
    document = yaml.safe_load(before)
    document["all"]["children"]["slurm"]["children"]["slurm_node"]["hosts"][NODE] |= values
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    try:
        yield
    finally:
        path.write_text(before)


def _plan(site: Site) -> list[dict[str, Any]]:
    done = platformctl("-o", "json", "plan", "-i", str(site.inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def _harmed(rows: list[dict[str, Any]]) -> set[str]:
    return {harm.get("id") or harm["name"] for row in rows for harm in row.get("harms", ())}


def _refused(site: Site, jobs: list[str], named: set[str], *options: str) -> None:
    """`install` names the work, changes nothing and ends with 3."""
    before, going_on = site.host("ctl1", "cat", "/etc/slurm/slurm.conf"), _going_on(site, jobs)
    done = platformctl("install", "-i", str(site.inventory), *options)
    assert done.returncode == 3, done.stdout + done.stderr
    assert all(f"job {job} of alice" in done.stderr for job in named)
    assert site.host("ctl1", "cat", "/etc/slurm/slurm.conf") == before
    assert _going_on(site, jobs) == going_on


def _with_partition(site: Site) -> list[dict[str, Any]]:
    path = site.inventory / "group_vars/all/slurm.yml"
    given: list[dict[str, Any]] = yaml.safe_load(path.read_text())["slurm_partitions"]
    return [*given, {"name": "extra", "nodes": [NODE]}]


def test_the_jobs_of_a_partition_that_is_removed(site: Site, jobs: list[str]) -> None:
    with changed_variables(site, "slurm", slurm_partitions=_with_partition(site)):
        site.run("install")
        runs = _submit(site, jobs, "--partition=extra")
        waits = _submit(site, jobs, "--partition=extra", "--hold", runs=False)
        other = _submit(site, jobs)
    rows = _plan(site)
    predicted = _harmed(rows)
    assert predicted == {runs, waits}
    (harm,) = [harm for row in rows for harm in row.get("harms", ()) if harm["id"] == runs]
    assert (harm["user"], harm["partitions"], harm["nodes"]) == ("alice", ["extra"], [NODE])
    assert harm["left"]
    _refused(site, jobs, predicted)
    site.run("install", "--yes")
    assert set(jobs) - _going_on(site, jobs) == predicted
    assert _state(site, other) == "RUNNING"


def test_jobs_that_hold_a_device_of_which_the_node_gets_another_number(site: Site, jobs: list[str]) -> None:
    # The role makes the files of simulated devices only once.
    site.host(NODE, "sh", "-c", "[ -e /dev/simulated-gpu1 ] || mknod -m 666 /dev/simulated-gpu1 c 240 1")
    holds, other = _submit(site, jobs, "--gres=gpu:1"), _submit(site, jobs)
    with _edited(site, slurm_node_gres=["gpu:2"]):
        predicted = _harmed(_plan(site))
        assert predicted == {holds}
        _refused(site, jobs, predicted)
        site.run("install", "--yes")
        assert set(jobs) - _going_on(site, jobs) == predicted
    # Back: nobody holds a device any more, so this needs no word.
    assert _harmed(_plan(site)) == set()
    site.run("install")
    assert _state(site, other) == "RUNNING"


def test_jobs_on_a_node_that_gets_another_number_of_cores(site: Site, jobs: list[str]) -> None:
    job = _submit(site, jobs)
    with _edited(site, slurm_node_memory_mib=16000):
        assert _harmed(_plan(site)) == set()
        site.run("install")
        assert _state(site, job) == "RUNNING"
    with _edited(site, slurm_node_cpus=3):
        assert _harmed(_plan(site)) == {job}
        _refused(site, jobs, {job})
        # In a reservation that another job runs beside, and in none at all.
        _refused(site, jobs, set(), "--reservation", "nobody-made-it")
        site.run("install", "--yes")
        assert _going_on(site, jobs) == set()


def test_a_node_is_drained_for_the_installation_and_put_back(site: Site, jobs: list[str]) -> None:
    job = _submit(site, jobs, seconds=60)
    with _edited(site, slurm_node_cpus=3):
        refused = platformctl("install", "-i", str(site.inventory), "--drain", "--timeout", "0")
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert "DRAIN" not in site.host("ctl1", "scontrol", "show", "node", NODE)
        assert _state(site, job) == "RUNNING"
        said = site.run("install", "--drain", "--timeout", "120")
        assert f"{NODE} is empty and takes no new work" in said
        assert _state(site, job) in ("COMPLETED", "")
    node = site.host("ctl1", "scontrol", "show", "node", NODE)
    assert "CPUTot=3" in node
    assert "DRAIN" not in node


def test_jobs_in_a_reservation_for_maintenance_may_be_harmed(site: Site, jobs: list[str]) -> None:
    make = "scontrol create reservation reservationname=upkeep starttime=now duration=60 users=alice"
    site.host("ctl1", "sh", "-c", f"{make} nodes={NODE} flags=maint,ignore_jobs")
    try:
        inside = _submit(site, jobs, "--reservation=upkeep")
        with _edited(site, slurm_node_cpus=3):
            assert _harmed(_plan(site)) == {inside}
            _refused(site, jobs, {inside})
            site.run("install", "--reservation", "upkeep")
        assert _going_on(site, jobs) == set()
    finally:
        site.host("ctl1", "scancel", "--reservation=upkeep")
        site.host("ctl1", "sh", "-c", "sleep 3; scontrol delete reservationname=upkeep")


def _started(site: Site) -> dict[str, str]:
    """When each daemon has started."""
    units = {NODE: ("slurmd", "munge"), "node1": ("kubelet", "containerd"), "ctl1": ("slurmctld", "slurmdbd")}
    show = ("systemctl", "show", "--value", "--property=MainPID")
    return {
        f"{unit} on {host}": site.host(host, *show, unit) for host, names in units.items() for unit in names
    }


def test_daemons_that_restart_end_no_job_and_no_pod(site: Site, jobs: list[str]) -> None:
    job = _submit(site, jobs)
    site.kubectl("run", _POD, f"--image={_BUSYBOX}", "--restart=Never", "--command", "--", "sleep", "600")
    try:
        site.kubectl("wait", "--for=condition=Ready", f"pod/{_POD}", "--timeout=60s")
        started = site.kubectl("get", "pod", _POD, "--output", "jsonpath={.status}")
        before = _started(site)
        limits = {"LimitNOFILE": "19998"}
        with (
            changed_variables(site, "slurm", slurm_node_service_limits=limits),
            changed_variables(
                site,
                "kubernetes",
                containerd_service_limits={"LimitNPROC": "8192", "OOMScoreAdjust": "0"} | limits,
            ),
        ):
            rows = _plan(site)
            assert _harmed(rows) == set()
            sure = {
                f"{restart['daemon']} on {row['host']}"
                for row in rows
                for restart in row.get("restarts", ())
                if restart["sure"]
            }
            site.run("install")
        after = _started(site)
        assert {name for name in after if after[name] != before[name]} == sure & set(after)
        assert _state(site, job) == "RUNNING"
        now = json.loads(site.kubectl("get", "pod", _POD, "--output", "jsonpath={.status}"))
        then = json.loads(started)
        assert now["phase"] == "Running"
        assert now["containerStatuses"][0]["containerID"] == then["containerStatuses"][0]["containerID"]
    finally:
        site.kubectl("delete", "pod", _POD, "--now", "--ignore-not-found")


def test_pods_are_named_with_what_protects_them(site: Site) -> None:
    """An edit of the networks of pods is predicted, refused, and not made."""
    site.kubectl("create", "deployment", _POD, f"--image={_BUSYBOX}", "--", "sleep", "600")
    try:
        site.kubectl("rollout", "status", f"deployment/{_POD}", "--timeout=60s")
        budget = ("create", "poddisruptionbudget", _POD, f"--selector=app={_POD}", "--min-available=1")
        site.kubectl(*budget)
        names = site.kubectl(
            "get", "pods", f"--selector=app={_POD}", "--output", "jsonpath={..metadata.name}"
        )
        with changed_variables(site, "kubernetes", kubernetes_pod_network="10.243.0.0/16"):
            (harm,) = [
                harm for row in _plan(site) for harm in row.get("harms", ()) if harm.get("name") == names
            ]
            assert (harm["namespace"], harm["node"]) == ("default", "node1")
            assert harm["controller"].startswith("ReplicaSet ")
            assert [budget["name"] for budget in harm["budgets"]] == [_POD]
            done = platformctl("install", "-i", str(site.inventory))
            assert done.returncode == 3
            assert f"pod default/{names} (on node1, ReplicaSet" in done.stderr
    finally:
        site.kubectl("delete", f"poddisruptionbudget/{_POD}", f"deployment/{_POD}", "--ignore-not-found")


def test_a_scheduler_that_does_not_answer_is_unknown(site: Site) -> None:
    site.host("ctl1", "systemctl", "stop", "slurmctld")
    try:
        with changed_variables(site, "slurm", slurm_node_port=6899):
            rows = _plan(site)
            assert any("Slurm does not say" in row.get("unknown", "") for row in rows)
            assert any("unknown" in row["impact"] for row in rows if row["stage"] == "slurm_controller")
            done = platformctl("install", "-i", str(site.inventory), "--stage", "slurm_controller")
            assert done.returncode == 3
            assert "is not known" in done.stderr or "does not answer" in done.stderr
    finally:
        site.host("ctl1", "systemctl", "start", "slurmctld")
        # slurmctld knows no node until its slurmd has registered.
        registered = (
            f"until sinfo --noheader --nodes={NODE} --format=%T | grep -Eqx 'idle|mixed'; do sleep 0.5; done"
        )
        site.host("ctl1", "timeout", "120", "sh", "-c", registered)
        site.run("status")
