"""What users and operators of an installed site can do, and what they cannot."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Site, platformctl


@pytest.fixture(scope="session")
def alice(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Alice's kubeconfig, on the control-plane host (whose kubectl is the one at hand)."""
    path = tmp_path_factory.mktemp("alice") / "kubeconfig"
    site.run("kubeconfig", "--user", "alice", "--file", str(path))
    assert path.stat().st_mode & 0o077 == 0
    _copy(site, path.read_text(), "/root/alice.kubeconfig")
    return "/root/alice.kubeconfig"


def _copy(site: Site, text: str, path: str) -> None:
    site.host("ctl1", "sh", "-c", f"umask 077; cat > {path} <<'END'\n{text}\nEND")


def _http_status(site: Site, url: str, headers: dict[str, str] | None = None) -> int:
    """Ask from a host of the site, whose names and trusted authorities are the ones that count."""
    program = f"""
import ssl, urllib.error, urllib.request
context = ssl.create_default_context()
try:
    request = urllib.request.Request({url!r}, headers={headers or {}!r})
    print(urllib.request.urlopen(request, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    _copy(site, program, "/root/ask.py")
    return int(site.host("ctl1", "python3", "/root/ask.py"))


def test_verify_runs_a_job_on_every_side(site: Site) -> None:
    proofs = json.loads(platformctl("-o", "json", "verify", "-i", str(site.inventory)).stdout)
    results = {proof["proof"]: proof["result"] for proof in proofs}
    assert {"pod", "sbatch", "Job to slurm", "Job to kubernetes", "service address", "node"} <= set(results)
    # A job step is not tried on a node that is busy, such as with the job of this very proof.
    assert set(results.values()) <= {"ok", "skipped"}
    assert [name for name, result in results.items() if result == "skipped"] in ([], ["job step"])


def test_users_are_the_same_everywhere_and_share_a_home(site: Site) -> None:
    identities = {site.host(host, "id", "alice").strip() for host in ("ctl1", "node1", "node2")}
    assert len(identities) == 1
    assert "uid=10001(alice)" in identities.pop()
    site.shell("node2", "echo seen > ~/shared-test", "alice")
    try:
        assert site.shell("node1", "cat ~/shared-test", "alice") == "seen\n"
    finally:
        site.shell("node2", "rm ~/shared-test", "alice")


def test_sbatch_leaves_output_accounting_and_its_limits(site: Site) -> None:
    submitted = site.shell(
        "ctl1",
        "sbatch --parsable --wait --gres=gpu:1 --output=out.%j --wrap 'echo gpu $CUDA_VISIBLE_DEVICES'",
        "alice",
    ).strip()
    try:
        assert site.shell("node2", f"cat out.{submitted}", "alice") == "gpu 0\n"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            line = site.shell("ctl1", f"sacct -X -n -P -j {submitted} -o user,account,state", "alice").strip()
            if line == "alice|physics|COMPLETED":
                break
            time.sleep(0.5)
        assert line == "alice|physics|COMPLETED"
    finally:
        site.shell("ctl1", f"rm -f out.{submitted}", "alice")


def test_slurmrestd_is_behind_tls_and_wants_a_token(site: Site) -> None:
    url = "https://rest.lab.example:6820/slurm/v0.0.42/partitions"
    token = site.shell("ctl1", "scontrol token lifespan=60").strip().partition("=")[2]
    assert _http_status(site, url, {"X-SLURM-USER-TOKEN": token}) == 200
    assert _http_status(site, url) != 200
    assert _http_status(site, url, {"X-SLURM-USER-TOKEN": token[:-4] + "aaaa"}) != 200
    assert site.host("ctl1", "systemctl", "show", "-p", "User", "slurmrestd").strip() not in (
        "User=root",
        "User=slurm",
    )


def test_alice_may_not_read_secrets_or_make_pods(site: Site, alice: str) -> None:
    for verb, kind in (("get", "secrets"), ("create", "pods"), ("list", "nodes")):
        answer = site.host(
            "ctl1", "sh", "-c", f"kubectl --kubeconfig {alice} auth can-i {verb} {kind}; true"
        ).strip()
        assert answer == "no", f"{verb} {kind}"


def test_the_kubeconfig_of_a_stranger_is_refused(site: Site, tmp_path: Path) -> None:
    done = platformctl(
        "kubeconfig", "-i", str(site.inventory), "--user", "mallory", "--file", str(tmp_path / "kubeconfig")
    )
    assert done.returncode == 2
    assert "mallory is not a user of this site" in done.stderr
    assert not (tmp_path / "kubeconfig").exists()
