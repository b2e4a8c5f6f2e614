"""A user who is disabled loses everything at once, and gets it back; what they run goes on."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Site, platformctl
from tests.e2e.test_slurm import CTL

GET = "kubectl --kubeconfig {} get jobs.kfoundry.io 2>&1; true"


def user(site: Site, verb: str, *names: str) -> str:
    done = platformctl("user", verb, "-i", str(site.inventory), *names)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def bobs_access(site: Site, tmp_path: Path) -> str:
    """bob's kubeconfig on the control plane; its certificate is valid for long."""
    file = tmp_path / "kubeconfig"
    made = platformctl("kubeconfig", "-i", str(site.inventory), "--user", "bob", "--file", str(file))
    assert made.returncode == 0, made.stderr
    place = "/root/bob.kubeconfig"
    site.host(CTL, "sh", "-c", f"umask 077; cat > {place} <<'END'\n{file.read_text()}\nEND\n")
    return place


def test_a_disabled_user_loses_all_access_at_once_and_gets_it_back(site: Site, bobs_access: str) -> None:
    get = GET.format(bobs_access)
    assert "forbidden" not in site.host(CTL, "sh", "-c", get).lower()
    job = site.shell(CTL, "sbatch --parsable --output=/dev/null --wrap='sleep 600'", "bob").strip()
    left = site.shell(CTL, "nohup sleep 1234 > /dev/null 2>&1 & echo $!", "bob").strip()
    started = time.monotonic()
    user(site, "disable", "bob")
    try:
        # On a quiet machine this takes 15 s; other tests run beside this one.
        assert time.monotonic() - started < 180
        assert 'User "bob" cannot list resource' in site.host(CTL, "sh", "-c", get)
        expired = site.host(CTL, "sh", "-c", "su bob -c true 2>&1; true")
        assert "Your account has expired" in expired
        assert site.host(CTL, "sh", "-c", f"[ -e /proc/{left} ] || echo gone").strip() == "gone"
        # What a job of bob's would try: more jobs.
        submit = (
            "setpriv --reuid=bob --regid=bob --clear-groups sbatch --output=/dev/null --wrap=true 2>&1; true"
        )
        assert "AssocGrpSubmitJobsLimit" in site.host(CTL, "sh", "-c", submit)
        assert site.host(CTL, "squeue", "--noheader", "--format=%t", f"--jobs={job}").strip() in ("R", "PD")
        assert "disabled" in user(site, "show", "bob")
        refused = platformctl("user", "disable", "-i", str(site.inventory), "mallory")
        assert refused.returncode == 2
        assert "mallory is no user of this site" in refused.stderr
    finally:
        user(site, "enable", "bob")
        site.host(CTL, "scancel", job)
    assert "forbidden" not in site.host(CTL, "sh", "-c", get).lower()
    assert site.shell(CTL, "sbatch --parsable --output=/dev/null --wrap=true", "bob").strip().isdigit()
    assert "nothing to do" in platformctl("plan", "-i", str(site.inventory)).stdout


def test_only_the_platform_makes_tokens_and_root_runs_no_job(site: Site) -> None:
    assert "denied" in site.shell(CTL, "scontrol token lifespan=infinite 2>&1; true", "alice")
    assert user(site, "token", "alice").startswith("SLURM_JWT=ey")
    assert "token of Slurm for alice" in site.host(CTL, "journalctl", "-t", "platformctl", "-o", "cat")
    assert "Invalid user id" in site.host(CTL, "sh", "-c", "srun true 2>&1; true")


def test_users_see_their_own_jobs_only(site: Site) -> None:
    job = site.shell(CTL, "sbatch --parsable --hold --output=/dev/null --wrap=true", "alice").strip()
    try:
        listed = "squeue --noheader --format=%i"
        assert job in site.shell(CTL, listed, "alice").split()
        assert job not in site.shell(CTL, listed, "bob").split()
        assert job in site.host(CTL, *listed.split()).split()
    finally:
        site.host(CTL, "scancel", job)


@pytest.fixture
def ssh_as_alice(site: Site, tmp_path: Path) -> Callable[[str, str], str]:
    """A command on a host by ssh as alice, with a key that is in her home on the shared file system."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    script = "umask 077; mkdir -p ~/.ssh; cat >> ~/.ssh/authorized_keys"
    site.host(CTL, "su", "-", "alice", "-c", script, data=public)
    hosts = yaml.safe_load((site.inventory / "hosts.yml").read_text())["all"]["hosts"]
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"]

    def run(host: str, command: str) -> str:
        words = ["ssh", "-i", str(key), *(word for option in options for word in ("-o", option))]
        address = hosts[host]["ansible_host"]
        done = subprocess.run(
            [*words, f"alice@{address}", command], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout if done.returncode == 0 else done.stderr

    return run


def test_a_key_in_a_home_opens_no_host_of_services(
    site: Site, ssh_as_alice: Callable[[str, str], str]
) -> None:
    for host in (CTL, "node1", "node2"):
        assert "alice" not in ssh_as_alice(host, "id -un")
        # The administrator, whom the site does not know as a user, gets in: the next command does as well.
        assert site.host(host, "sshd", "-T").count("pamservicename platformctl-sshd") == 1


def test_who_has_a_job_on_a_node_may_log_in_there(
    site: Site, ssh_as_alice: Callable[[str, str], str]
) -> None:
    settings = site.inventory / "group_vars/slurm_node.yml"
    settings.write_text("users_login: with_job\n")
    job = ""
    try:
        site.events("install", "--yes")
        assert "alice" not in ssh_as_alice("node2", "id -un")
        job = site.shell(CTL, "sbatch --parsable --output=/dev/null --wrap='sleep 300'", "alice").strip()
        deadline = time.monotonic() + 60
        while "alice" not in ssh_as_alice("node2", "id -un"):
            assert time.monotonic() < deadline
            time.sleep(1)
        # In the job's control group, so that it ends with the job and has no more than the job.
        assert f"job_{job}" in ssh_as_alice("node2", "cat /proc/self/cgroup")
        assert "alice" not in ssh_as_alice(CTL, "id -un")
    finally:
        if job:
            site.host(CTL, "scancel", job)
        settings.unlink()
        site.events("install", "--yes")
