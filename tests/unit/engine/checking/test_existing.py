"""The judgement of what others have on a host, and the program that asks for it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths
from platformctl.engine.checking import claims, existing, program
from platformctl.engine.checking.check import Verdict
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.engine.checking.preflight import judge
from platformctl.engine.planning.plan import Plan
from platformctl.engine.running.install import Draft, Installation, Options
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.checking.test_preflight import subject
from tests.unit.engine.sites import make_fleet

DOCKER = {"name": "docker-ce", "fate": "removed", "found": ["apt would remove docker-ce 5:28"]}


def seen(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    empty = {"notes": [], "blocked": [], "denied": "", "ports": [], "fate": "stopped", "found": []}
    return {"findings": [{**empty, "names": [entry["name"]], **entry} for entry in found], **more}


def told(*subjects: Subject) -> list[Finding]:
    return [finding for finding in judge(subjects) if finding.check != "system"]


def test_what_would_be_lost_is_an_error_with_both_ways_out() -> None:
    (finding,) = told(subject(existing=seen(DOCKER)))
    assert (finding.check, finding.level, finding.names) == ("takeover", Level.ERROR, ("docker-ce",))
    assert "apt would remove docker-ce 5:28" in finding.found
    assert "--yes docker-ce" in finding.remedy
    assert "takeover: [docker-ce] in the inventory" in finding.remedy


@pytest.mark.parametrize("where", ["inventory", "command line"])
def test_what_is_accepted_is_shown_with_what_reset_does(where: str) -> None:
    asked = subject(existing=seen(DOCKER))
    if where == "inventory":
        accepted = replace(asked, variables={"takeover": ["docker-ce"]})
    else:
        accepted = replace(asked, agreed=frozenset({"docker-ce"}))
    (finding,) = told(accepted)
    assert finding.level is Level.WARNING
    assert "/var/lib/platformctl/before" in finding.remedy
    assert "`reset`" in finding.remedy


def test_the_name_of_the_package_accepts_its_service() -> None:
    thing = {"name": "docker", "names": ["docker", "docker-ce"], "found": ["docker.service runs"]}
    accepted = replace(subject(existing=seen(DOCKER, thing)), agreed=frozenset({"docker-ce"}))
    assert {finding.level for finding in told(accepted)} == {Level.WARNING}


def test_what_is_used_beside_needs_no_yes() -> None:
    beside = {"name": "mariadb", "fate": "beside", "notes": ["mariadb.service of others is used beside them"]}
    (finding,) = told(subject(existing=seen(beside)))
    assert finding.level is Level.OK


def test_a_database_that_does_not_let_us_in_names_the_variable() -> None:
    denied = {"name": "mariadb", "fate": "beside", "denied": "Access denied for user 'root'"}
    (finding,) = told(subject(existing=seen(denied)))
    assert finding.level is Level.ERROR
    assert "Access denied" in finding.found
    assert existing.PASSWORD in finding.remedy


def test_apts_refusal_is_an_error() -> None:
    (finding,) = told(subject(existing=seen(refused="Package 'munge' has no installation candidate")))
    assert (finding.check, finding.level) == ("packages", Level.ERROR)


def test_a_port_is_named_once() -> None:
    nginx = {"name": "nginx", "found": ["TCP port 6818 is in use by nginx.service (nginx)"], "ports": [6818]}
    (finding,) = told(subject(listening=[6818], existing=seen(nginx)))
    assert finding.check == "takeover"


def test_a_name_that_accepts_nothing_is_a_warning_on_one_host() -> None:
    hosts = [
        replace(subject(name), variables={"takeover": ["dokcer-ce", "docker-ce"]}) for name in ("n1", "n2")
    ]
    hosts[1] = replace(hosts[1], probe={**hosts[1].probe, "existing": seen(DOCKER)})
    warnings = [finding for finding in told(*hosts) if "nothing is called" in finding.found]
    assert [(finding.host, finding.found, finding.level) for finding in warnings] == [
        ("n1", "nothing is called dokcer-ce", Level.WARNING)
    ]
    # After the takeover the name stays in the inventory.
    before = replace(
        hosts[0], probe={**hosts[0].probe, "existing": seen(accepted=["docker-ce", "dokcer-ce"])}
    )
    assert told(before) == []


def test_a_name_of_the_inventory_may_stay_and_a_typed_one_must_match() -> None:
    installed = replace(subject(site="lab"), variables={"takeover": ["docker-ce"]})
    assert told(installed) == []
    (finding,) = told(replace(installed, agreed=frozenset({"dokcer-ce"})))
    assert finding.found == "nothing is called dokcer-ce"
    assert Verdict((finding,)).takeovers == [finding]


def test_firewalls_matter_to_kubernetes() -> None:
    assert told(subject(firewall=["nftables"])) == []
    (finding,) = told(subject(groups=("kubernetes_node",), firewall=["nftables"]))
    assert finding.level is Level.WARNING


def test_install_refuses_all_at_once_and_plain_yes_accepts_nothing() -> None:
    findings = tuple(
        Finding(host, "takeover", Level.ERROR, f"apt would remove {name}", "", (name,))
        for host, name in (("n1", "docker-ce"), ("n2", "k3s"))
    )
    draft = Draft(Plan((), {}), (), fetched=True, verdict=Verdict(findings))
    installation = Installation(make_fleet({"n1": (), "n2": ()}), Options(yes=True))
    with pytest.raises(PlatformError) as refused:
        installation._refuse_takeover(draft)
    assert refused.value.code is ExitCode.REFUSED
    assert refused.value.details == ["n1: apt would remove docker-ce", "n2: apt would remove k3s"]
    assert "--yes docker-ce --yes k3s" in str(refused.value.next)
    warned = Verdict(tuple(replace(finding, level=Level.WARNING) for finding in findings))
    installation._refuse_takeover(replace(draft, verdict=warned))


def test_claims_are_those_of_the_hosts_stages() -> None:
    groups = {"n1": ("slurm_node", "munge"), "n2": ("registry", "containerd", "slurm_accounting")}
    own = {
        "n1": {"slurm_node_packages": ["slurmd-own"], "slurm_node_container_runtime": "podman"},
        "n2": {
            "registry_data_path": "/srv/registry",
            "registry_port": 5001,
            "base_apt_proxy": "http://cache",
            "slurm_accounting_database_root_password": "0123",
        },
    }
    fleet = make_fleet(groups, own=own)
    data = paths.data_dir()
    node = {entry["stage"]: entry for entry in claims.of(fleet.hosts["n1"], fleet, data)["stages"]}
    assert set(node) == {"base", "munge", "slurm_node"}
    assert node["slurm_node"]["packages"] == ["catatonit", "crun", "podman", "slurmd-own"]
    assert "slurmd.service" in node["slurm_node"]["things"]["slurm"]["services"]
    other = claims.of(fleet.hosts["n2"], fleet, data)
    stages = {entry["stage"]: entry for entry in other["stages"]}
    assert other["proxy"] == "http://cache"
    assert stages["registry"]["things"]["docker-registry"]["directories"] == ["/srv/registry"]
    assert stages["registry"]["ports"] == [5001]
    # A password of digits is no number.
    assert stages["slurm_accounting"]["things"]["mariadb"]["database"]["password"] == "0123"


def test_every_package_that_a_role_installs_is_claimed() -> None:
    every = frozenset(
        {"registry", "containerd", "munge", "slurm_accounting", "slurm_controller", "slurm_rest"}
    )
    stages = claims.of_groups(every | {"slurm_node"}, {}, paths.data_dir())["stages"]
    claimed = {name for entry in stages for name in entry["packages"]}
    assert {
        "docker-registry",
        "containerd",
        "runc",
        "munge",
        "slurmdbd",
        "mariadb-server",
        "slurmctld",
    } <= claimed
    assert {"slurmd", "charliecloud-runtime", "slurmrestd", "haproxy", "ca-certificates"} <= claimed


def test_what_is_sent_runs_without_ansible(tmp_path: Path) -> None:
    arguments = {"peers": {}, "operator_epoch": 0, "claims": {"stages": [], "proxy": ""}}
    text = program.program(paths.data_dir(), "roles/preflight/library/host_probe.py", arguments)
    # -I -S: without packages of this Python, as on a host.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["existing"]["findings"] == []
    assert found["os"]["id"]


def test_arguments_are_not_on_the_command_line() -> None:
    text = program.program(paths.data_dir(), "playbooks/library/host_before.py", {"password": "'\"\n"})
    assert json.dumps({"password": "'\"\n"}) in text or repr(json.dumps({"password": "'\"\n"})) in text
    assert program.COMMAND == "exec python3 -"
