"""What the chart renders for the logs API and the users' homes: no more rights than it takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.logs.config import LogsConfig
from tests.integration.charts.test_job_router import USER, named, render

GOLDEN = Path(__file__).parent / "golden" / "logs-rights.yml"
NAME = "job-router-logs"
HOME = {"path": "/home"}


def container(objects: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod's spec and its one container."""
    pod = named(objects, "Deployment", NAME)["spec"]["template"]["spec"]
    (found,) = pod["containers"]
    return pod, found


def test_the_logs_api_may_do_what_the_golden_file_says_and_nothing_else() -> None:
    objects = render(home=HOME, users=[USER])
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": "platform-logs"}
    bound = [found for found in objects if account in (found.get("subjects") or [])]
    assert {(item["kind"], item["metadata"].get("namespace")) for item in bound} == {
        ("ClusterRoleBinding", None),
        ("RoleBinding", "kube-system"),
        ("RoleBinding", "default"),
    }
    golden = yaml.safe_load(GOLDEN.read_text())
    assert named(objects, "ClusterRole", NAME)["rules"] == golden["cluster"]
    assert named(objects, "ClusterRole", f"{NAME}-users")["rules"] == golden["users"]
    assert named(objects, "RoleBinding", NAME)["roleRef"]["name"] == golden["kube-system"]


def test_it_may_become_a_user_and_has_no_other_capability() -> None:
    objects = render(home=HOME, users=[USER])
    pod, found = container(objects)
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
    }
    (mount,) = (mount for mount in found["volumeMounts"] if mount["name"] == "home")
    assert mount == {"name": "home", "mountPath": "/home", "readOnly": True}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    namespace = named(objects, "Namespace", "platform-logs")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


def test_without_a_home_it_has_no_rights_on_the_host_at_all() -> None:
    objects = render(users=[USER])
    pod, found = container(objects)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    namespace = named(objects, "Namespace", "platform-logs")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not [found for found in objects if found["kind"] == "PersistentVolume"]


@pytest.mark.parametrize("home", [None, HOME])
def test_its_configuration_is_one_that_it_reads(home: dict[str, str] | None) -> None:
    objects = render(users=[USER], **({"home": home} if home else {}))
    config = LogsConfig.model_validate_json(named(objects, "ConfigMap", NAME)["data"]["logs.json"])
    assert config.home == (home["path"] if home else None)
    assert [person.uid for person in config.users] == [10001]


def test_a_home_is_a_volume_for_one_claim_and_stays() -> None:
    objects = render(home={**HOME, "nodeSelector": {"home": "yes"}}, users=[USER], userNamespaces=["a", "b"])
    for namespace in ("a", "b"):
        volume = named(objects, "PersistentVolume", f"kfoundry-home-10001-{namespace}")["spec"]
        assert volume["hostPath"] == {"path": "/home/alice", "type": "Directory"}
        assert volume["persistentVolumeReclaimPolicy"] == "Retain"
        assert (volume["claimRef"]["namespace"], volume["claimRef"]["name"]) == (
            namespace,
            "kfoundry-home-10001",
        )
        terms = volume["nodeAffinity"]["required"]["nodeSelectorTerms"]
        assert terms == [{"matchExpressions": [{"key": "home", "operator": "In", "values": ["yes"]}]}]


def test_a_user_with_a_home_elsewhere_has_no_claim() -> None:
    objects = render(home=HOME, users=[{**USER, "home": "/data/alice"}])
    names = [found["metadata"]["name"] for found in objects if found["kind"] == "PersistentVolumeClaim"]
    assert names == [f"{NAME}-home"]
