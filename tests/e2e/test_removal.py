"""Nodes that leave both schedulers with their work, alive or lost, and come back."""

import pytest

from platformctl import lab as labs
from platformctl.lab import faults
from platformctl.lab.dirt import inventories
from tests.e2e.conftest import Site, platformctl

pytestmark = [pytest.mark.lab, pytest.mark.dirt]
_READY = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"


def _removed(site: Site, *arguments: str, code: int = 0) -> str:
    done = platformctl("node", "remove", "-i", str(site.inventory), *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _healthy(site: Site) -> None:
    site.run("status")
    assert site.kubectl("get", "node", "node1", "--output", _READY) == "True"
    site.shell("ctl1", "srun --nodelist=node2 true", "alice")


def _waiting(site: Site, host: str, condition: str, seconds: int = 120) -> None:
    site.host(host, "timeout", str(seconds), "sh", "-c", f"until {condition}; do sleep 1; done")


@pytest.fixture
def whole(site: Site) -> Site:
    """The installed site, with all its nodes; what a test took out is installed again by it."""
    site.run("install", "--yes")
    return site


def test_nodes_leave_with_their_work_and_are_added_again(whole: Site) -> None:
    job = whole.shell("ctl1", "sbatch --parsable --output=/dev/null --wrap='sleep 900'", "alice").strip()
    running = f"squeue --noheader --states=running --jobs={job} | grep -q ."
    _waiting(whole, "ctl1", running)
    asked = _removed(whole, "node1", "node2", "--yes", "node1", "--timeout", "0", code=3)
    assert "--yes does not name node2" in asked
    assert whole.kubectl("get", "node", "node1", "--output", "jsonpath={.spec.unschedulable}") == ""

    waited = _removed(whole, "node2", "--yes", "node2", "--timeout", "0", code=3)
    assert f"{job} (alice)" in waited
    assert "--end-jobs" in waited
    assert "DRAIN" in whole.host("ctl1", "scontrol", "show", "node", "node2")
    whole.host("ctl1", "sh", "-c", running)

    said = _removed(whole, "node1", "node2", "--yes", "node1", "--yes", "node2", "--end-jobs")
    assert "node1 is out of Kubernetes" in said
    assert "node2 runs no more jobs of Slurm" in said
    assert "node1" not in whole.kubectl("get", "nodes", "--output", "name")
    states = whole.shell("ctl1", f"sacct --noheader --allocations --format=state --jobs={job}")
    assert "CANCELLED" in states
    for host, unit in (("node1", "kubelet"), ("node2", "slurmd")):
        assert whole.host(host, "sh", "-c", f"systemctl is-active {unit}; true").strip() == "inactive"
        whole.host(host, "test", "!", "-e", "/var/lib/platformctl")
    # What the last line of the command says.
    assert "nothing to do" in _removed(whole, "node1")
    whole.run("install", "--yes")
    _healthy(whole)


def test_a_lost_node_leaves_and_is_reset_when_it_comes_back(whole: Site) -> None:
    lab = labs.find(whole.lab)
    assert lab is not None
    with faults.killed(lab, "node1"):
        with inventories.without(lab, "node1"):
            kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
            _waiting(whole, "ctl1", f'{kubectl} get node node1 --output="{_READY}" | grep -q Unknown')
            said = _removed(whole, "node1", "--yes", "node1")
            assert "node1: what install put on the host stays there" in said
            assert "node1" not in whole.kubectl("get", "nodes", "--output", "name")
            # The cluster itself ends those that every node has.
            left = f"{kubectl} get pods --all-namespaces --field-selector=spec.nodeName=node1 --output=name"
            _waiting(whole, "ctl1", f'test -z "$({left})"')
        refused = platformctl("node", "remove", "-i", str(whole.inventory), "ctl1", "--yes", "ctl1")
        assert refused.returncode == 3
        assert "the Kubernetes control plane" in refused.stderr
    # The remedy that the command named.
    whole.run("reset", "--limit", "node1", "--yes", "lab")
    whole.run("install", "--yes")
    _healthy(whole)
