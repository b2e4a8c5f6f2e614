import asyncio
import json

import pytest
from typer.testing import CliRunner

from platformctl.cli.main import app
from platformctl.engine import loading, remote
from platformctl.engine.checking import status as checking
from platformctl.engine.checking.status import HostStatus, SiteStatus, gather
from platformctl.engine.fleet import Fleet
from tests.unit.engine.checking.answering import Site, ready_node
from tests.unit.engine.sites import make_fleet

SLURM = make_fleet({"ctl1": ("slurm_controller",), "n1": ("slurm_node",)})
NODES = {"ctl1": ("kubernetes_control_plane", "slurm_controller"), "n1": ("kubernetes_node", "slurm_node")}


def status(site: Site, monkeypatch: pytest.MonkeyPatch) -> SiteStatus:
    monkeypatch.setattr(remote, "run", site.run)
    return asyncio.run(gather(site.fleet))


def test_a_node_that_slurm_refuses_is_shown_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(SLURM)
    site.slurm["n1"] = ("inval", "Low RealMemory (reported:1 < 100.00%)")
    found = status(site, monkeypatch)
    assert (found.hosts[1].slurm, found.hosts[1].healthy) == ("inval 24.11.5", False)
    assert "Low RealMemory" in found.hosts[1].remark


def test_nodes_of_kubernetes_need_no_parent_group(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = make_fleet({"ctl1": ("kubernetes_control_plane",), "n1": ("kubernetes_node",)})
    site = Site(fleet)
    site.nodes["n1"] = ready_node("n1", "192.0.2.12", "Unknown")
    control, node = status(site, monkeypatch).hosts
    assert (control.kubernetes, control.healthy) == ("Ready v1.35.0", True)
    assert (node.kubernetes, node.healthy) == ("NotReady v1.35.0", False)
    assert "kubelet says Unknown" in node.remark
    del site.nodes["n1"]
    _, missing = status(site, monkeypatch).hosts
    assert (missing.kubernetes, missing.healthy) == ("not there", False)
    assert "not known to kubernetes" in missing.remark


def test_nodes_of_a_scheduler_that_is_silent_are_not_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(make_fleet(NODES))
    site.api = site.slurmctld = 1
    found = status(site, monkeypatch)
    assert not found.healthy
    assert [(host.kubernetes, host.slurm) for host in found.hosts][1] == ("no answer", "no answer")
    assert not any("not known" in host.remark for host in found.hosts)
    assert {item.name for item in found.services if not item.healthy} >= {"kube-apiserver", "slurmctld"}


def test_accounting_is_asked_from_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"db1": ("slurm_accounting",), "ctl1": ("slurm_controller",), "n1": ("slurm_node",)}
    site = Site(make_fleet(groups))
    found = status(site, monkeypatch)
    assert [(item.name, item.where, item.state) for item in found.services] == [
        ("slurmdbd", "db1", "up"),
        ("slurmctld", "ctl1", "up"),
    ]
    assert found.healthy
    site.accounting = 1
    found = status(site, monkeypatch)
    assert not found.healthy
    assert found.services[0].state == "asked from ctl1: no database"
    assert found.services[0].where == "db1"


def test_a_site_without_accounting_has_no_slurmdbd(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(SLURM)
    site.accounting = 1
    found = status(site, monkeypatch)
    assert [item.name for item in found.services] == ["slurmctld"]
    assert found.healthy


def test_a_controller_that_does_not_answer_is_one_service_that_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(SLURM)
    site.slurmctld = 1
    found = status(site, monkeypatch)
    assert [(item.name, item.where) for item in found.services] == [("slurmctld", "ctl1")]
    assert "refused" in found.services[0].state


def test_a_host_without_power_is_shown_though_the_schedulers_still_trust_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(make_fleet(NODES))
    site.down = {"n1"}
    control, node = status(site, monkeypatch).hosts
    assert (control.state, control.healthy) == ("up", True)
    assert (node.state, node.healthy) == ("no answer", False)
    assert "No route to host" in node.remark
    assert (node.kubernetes, node.slurm) == ("Ready v1.35.0", "idle 24.11.5")


def test_a_unit_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(make_fleet(NODES))
    site.bad["n1", "kubernetes_node.services"] = (1, "kubelet is failed")
    site.bad["n1", "slurm_node.services"] = (1, "slurmd is inactive")
    _, node = status(site, monkeypatch).hosts
    assert (node.state, node.healthy) == ("up", False)
    assert node.remark == "services: kubelet is failed; services: slurmd is inactive"


def test_a_site_that_is_not_installed_says_so_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(make_fleet(NODES))
    site.bare = set(NODES)
    found = status(site, monkeypatch)
    assert {host.state for host in found.hosts} == {"not installed"}
    assert {host.remark for host in found.hosts} == {""}
    assert {service.state for service in found.services} == {"not installed"}
    assert not found.healthy


def test_every_host_is_asked_once_and_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(make_fleet({f"n{number}": ("slurm_node",) for number in range(300)}))
    found = status(site, monkeypatch)
    asked = [host for host, script in site.scripts if "answer" in script]
    assert sorted(asked) == sorted(host.name for host in site.fleet.hosts.values())
    assert 12 in site.seconds
    assert {host.state for host in found.hosts} == {"up"}


def test_a_host_without_a_stage_of_its_own_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = status(Site(make_fleet({"reg1": ("registry",), "login1": ("site_login",)})), monkeypatch)
    assert [(host.state, host.healthy, host.remark) for host in found.hosts] == [("up", True, "")] * 2


def test_the_pods_of_users_are_not_services_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(make_fleet({"ctl1": ("kubernetes_control_plane",)}))
    theirs = json.loads(json.dumps(site.deployments[0]))
    theirs["metadata"] = {"name": "notebook", "namespace": "alice"}
    theirs["status"] = {"readyReplicas": 0}
    site.deployments.append(theirs)
    found = status(site, monkeypatch)
    assert found.healthy
    assert "notebook" not in {item.name for item in found.services}


def test_the_command_says_what_to_do_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gathered(_: Fleet) -> SiteStatus:
        host = HostStatus("n1", "192.0.2.11", "shared", "not installed", "", "", False)
        return SiteStatus("test", (host,), ())

    monkeypatch.setattr(checking, "gather", gathered)
    monkeypatch.setattr(loading, "load", lambda _: SLURM)
    done = CliRunner().invoke(app, ["status", "-i", "mysite"])
    assert done.exit_code == 1
    assert "nothing is installed yet: platformctl install -i mysite" in done.stderr


def test_the_services_of_the_stage_table_are_those_of_the_first_host_of_their_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(make_fleet({"reg1": ("registry",), "rest1": ("slurm_rest",), "rest2": ("slurm_rest",)}))
    site.bad["rest1", "slurm_rest.services"] = (1, "slurm-rest-tls is failed")
    found = status(site, monkeypatch)
    assert [(item.name, item.where, item.state, item.healthy) for item in found.services] == [
        ("docker-registry", "reg1", "up", True),
        ("slurmrestd", "rest1", "up", True),
        ("slurm-rest-tls", "rest1", "slurm-rest-tls is failed", False),
    ]
    assert not found.healthy
