"""What users rely on in Slurm as it is configured here: a check in the spirit of its own test suite."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Site

CTL = "ctl1"


def sbatch(site: Site, *options: str, wrap: str = "true") -> str:
    """Submit as alice; the job's id."""
    words = " ".join(("--parsable", "--output=/dev/null", "--time=5", *options))
    return site.shell(CTL, f"sbatch {words} --wrap='{wrap}'", "alice").strip()


def accounted(site: Site, job: str, fields: str = "jobid,state,exitcode") -> list[str]:
    """The allocations of a job in the accounting, one line each, without who cancelled it."""
    lines = site.shell(CTL, f"sacct --allocations -n -P --jobs={job} --format={fields}").splitlines()
    return [line.replace(" by 10001", "").replace(" by 0", "") for line in lines]


def until_accounted(site: Site, job: str, expected: list[str], seconds: float = 60) -> None:
    """Wait until the accounting says so of a job."""
    deadline = time.monotonic() + seconds
    while sorted(found := accounted(site, job)) != sorted(expected):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def until_waits(site: Site, job: str, reason: str) -> None:
    """Wait until a pending job gives this reason."""
    wanted = f"until squeue -h -t PD -j {job} -o %r | grep -qx '{reason}'; do sleep 0.2; done"
    site.host(CTL, "timeout", "60", "sh", "-c", wanted)


def until_runs(site: Site, job: str) -> None:
    """Wait until a job has started."""
    site.host(
        CTL, "timeout", "60", "sh", "-c", f"until squeue -h -t R -j {job} | grep -q .; do sleep 0.2; done"
    )


@pytest.fixture(autouse=True)
def nothing_left(site: Site) -> Iterator[None]:
    """No test leaves a job of alice behind."""
    yield
    site.shell(CTL, "scancel --user=alice; until ! squeue -h -u alice | grep -q .; do sleep 0.2; done")


def test_every_element_of_an_array_is_accounted_for(site: Site) -> None:
    job = sbatch(site, "--array=0-4%2", wrap="exit $SLURM_ARRAY_TASK_ID")
    ends = [f"{job}_{n}|{'FAILED' if n else 'COMPLETED'}|{n}:0" for n in range(5)]
    until_accounted(site, job, ends)


def test_an_array_never_runs_more_elements_at_once_than_it_says(site: Site) -> None:
    job = sbatch(site, "--array=0-2%1", wrap="sleep 60")
    until_waits(site, job, "JobArrayTaskLimit")
    assert site.shell(CTL, f"squeue -h -t R -j {job} -o %i").split() == [f"{job}_0"]


def test_dependencies_see_how_the_first_job_ended(site: Site) -> None:
    first = sbatch(site, "--hold", wrap="exit 7")
    kinds = {"afterok": "CANCELLED", "afternotok": "COMPLETED", "afterany": "COMPLETED"}
    jobs = {kind: sbatch(site, f"--dependency={kind}:{first}", "--kill-on-invalid-dep=yes") for kind in kinds}
    until_waits(site, jobs["afterany"], "Dependency")
    site.shell(CTL, f"scontrol release {first}", "alice")
    until_accounted(site, first, [f"{first}|FAILED|7:0"])
    for kind, state in kinds.items():
        until_accounted(site, jobs[kind], [f"{jobs[kind]}|{state}|0:0"])


def test_singletons_run_one_after_the_other(site: Site) -> None:
    options = ("--job-name=one", "--dependency=singleton")
    first = sbatch(site, *options, wrap="sleep 60")
    second = sbatch(site, *options)
    until_runs(site, first)
    until_waits(site, second, "Dependency")
    site.shell(CTL, f"scancel {first}", "alice")
    until_accounted(site, second, [f"{second}|COMPLETED|0:0"])


def test_a_requeued_job_runs_again_under_its_id(site: Site) -> None:
    job = sbatch(site, "--requeue", wrap='test -n "$SLURM_RESTART_COUNT" || sleep 300')
    until_runs(site, job)
    site.shell(CTL, f"scontrol requeue {job}", "alice")
    # Slurm lets two minutes pass before it starts a requeued job.
    until_waits(site, job, "BeginTime")
    site.shell(CTL, f"scontrol update jobid={job} starttime=now")
    until_accounted(site, job, [f"{job}|COMPLETED|0:0"])
    states = site.shell(CTL, f"sacct --duplicates --allocations -n -P -j {job} -o state").split()
    assert states == ["REQUEUED", "COMPLETED"]


def test_a_job_that_may_not_be_requeued_is_not(site: Site) -> None:
    job = sbatch(site, "--no-requeue", wrap="sleep 60")
    until_runs(site, job)
    said = site.host(CTL, "su", "-", "alice", "-c", f"scontrol requeue {job} 2>&1", code=1)
    assert "disabled" in said


def test_a_limit_of_an_association_holds_jobs_back(site: Site) -> None:
    with association(site, "MaxJobs=1", "MaxJobs=-1"):
        first, second = (sbatch(site, wrap="sleep 60") for _ in range(2))
        until_runs(site, first)
        until_waits(site, second, "AssocMaxJobsLimit")
        site.shell(CTL, f"scancel {first}", "alice")
        until_runs(site, second)
    with association(site, "MaxTRESPerJob=cpu=1", "MaxTRESPerJob=cpu=-1"):
        until_waits(site, sbatch(site, "--cpus-per-task=2"), "AssocMaxCpuPerJobLimit")


@contextlib.contextmanager
def association(site: Site, limit: str, undo: str) -> Iterator[None]:
    """A limit on alice's association, and none afterwards."""
    change = "sacctmgr --immediate --quiet modify user alice where account=physics set"
    site.shell(CTL, f"{change} {limit}")
    try:
        yield
    finally:
        site.shell(CTL, f"{change} {undo}")


def test_who_has_no_association_is_refused(site: Site) -> None:
    for who, account in (("alice", "chemistry"), ("daemon", "physics")):
        command = f"sbatch --account={account} --wrap=true 2>&1"
        said = site.host(CTL, "runuser", "-u", who, "--", "sh", "-c", f"cd /; {command}", code=1)
        assert "Invalid account or account/partition combination" in said, who


def test_what_no_node_has_is_refused_and_what_is_busy_is_waited_for(site: Site) -> None:
    for option in ("--gres=gpu:2", "--cpus-per-task=64", "--mem=1T", "--nodes=99", "--gres=fpga:1"):
        said = site.host(CTL, "su", "-", "alice", "-c", f"sbatch {option} --wrap=true 2>&1", code=1)
        assert "error" in said, option
    first, second = (sbatch(site, "--gres=gpu:1", wrap="sleep 60") for _ in range(2))
    until_runs(site, first)
    until_waits(site, second, "Resources")


def test_a_partitions_time_limit_holds(site: Site) -> None:
    until_waits(site, sbatch(site, "--time=2-00:00:00"), "PartitionTimeLimit")


def test_memory_is_limited(site: Site) -> None:
    eat = 'python3 -c "x = bytearray(400 << 20); import time; time.sleep(5)"'
    job = sbatch(site, "--mem=100M", wrap=eat)
    until_accounted(site, job, [f"{job}|OUT_OF_MEMORY|0:125"])


def test_a_finished_job_is_accounted_with_what_it_held(site: Site) -> None:
    job = sbatch(site, "--cpus-per-task=2", "--mem=200M", "--gres=gpu:1", "--comment=mine", wrap="sleep 2")
    until_accounted(site, job, [f"{job}|COMPLETED|0:0"])
    (line,) = accounted(site, job, "user,account,partition,alloccpus,alloctres,comment,elapsedraw")
    user, account, partition, cpus, held, comment, seconds = line.split("|")
    assert (user, account, partition, cpus, comment) == ("alice", "physics", "main", "2", "mine")
    assert {"cpu=2", "gres/gpu=1", "mem=200M", "node=1"} <= set(held.split(","))
    assert 1 <= int(seconds) <= 30


def test_steps_share_the_allocation(site: Site) -> None:
    out = site.shell(
        CTL, "srun --quiet --time=1 --ntasks=4 sh -c 'echo $SLURM_PROCID of $SLURM_NTASKS'", "alice"
    )
    assert sorted(out.splitlines()) == [f"{n} of 4" for n in range(4)]


def test_a_cancelled_job_is_told_first_and_then_killed(site: Site) -> None:
    job = sbatch(site, wrap='trap "exit 9" TERM; sleep 300 & wait')
    until_runs(site, job)
    site.shell(CTL, f"scancel --batch --signal=TERM {job}", "alice")
    until_accounted(site, job, [f"{job}|FAILED|9:0"])


def test_users_see_and_change_only_what_is_theirs(site: Site) -> None:
    job = sbatch(site, "--hold")
    for command in (f"scancel {job}", f"scontrol release {job}", f"scontrol update jobid={job} comment=x"):
        said = site.host(CTL, "su", "-", "bob", "-c", f"{command} 2>&1; true")
        assert "denied" in said or "Invalid user id" in said, command
    until_waits(site, job, "JobHeldUser")
