"""What the job router's chart renders: its rights to the letter, and what keeps it available."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.paths import data_dir
from platformctl.router.config import RouterConfig
from tests.programs import program

GOLDEN = Path(__file__).parent / "golden" / "job-router-rights.yml"
ACCOUNT = {"kind": "ServiceAccount", "name": "job-router", "namespace": "platform-jobs"}
USER = {"name": "alice", "uid": 10001, "gid": 10001, "groups": [20001], "home": "/home/alice"}


def render(**values: Any) -> list[dict[str, Any]]:
    """The chart's objects with some values."""
    chart = data_dir() / "charts" / "job-router"
    command = [str(program("helm")), "template", "job-router", str(chart), "--namespace", "platform-jobs"]
    done = subprocess.run(
        [*command, "--values", "-"], input=json.dumps(values).encode(), check=True, capture_output=True
    )
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def named(objects: list[dict[str, Any]], kind: str, name: str = "job-router") -> dict[str, Any]:
    (found,) = (found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name))
    return found


def rights(objects: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Every rule that is bound to the router's account, by scope."""
    found: dict[str, list[dict[str, Any]]] = {}
    for binding in objects:
        if not binding["kind"].endswith("Binding") or ACCOUNT not in binding.get("subjects", []):
            continue
        role = named(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])
        where = binding["metadata"].get("namespace", "cluster")
        found.setdefault(where, []).extend(role["rules"])
    return found


def test_the_router_may_do_what_the_golden_file_says_and_nothing_else() -> None:
    slurm = {"enabled": True, "address": "https://rest.example:6820", "hostAddress": "192.0.2.1"}
    assert rights(render(users=[USER], slurm=slurm)) == yaml.safe_load(GOLDEN.read_text())


def test_no_right_covers_everything_or_reads_secrets() -> None:
    for rules in rights(render()).values():
        for rule in rules:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert not {"secrets", "serviceaccounts/token", "roles", "rolebindings"} & set(rule["resources"])


def test_two_replicas_of_which_a_drain_leaves_one() -> None:
    objects = render()
    deployment = named(objects, "Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert named(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    pod = deployment["template"]["spec"]
    spread = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert spread[0]["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    (container,) = pod["containers"]
    probes = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")
    }
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}


def test_the_configuration_is_one_that_the_router_reads() -> None:
    rule = {"when": {"kind": "script", "minTasks": 2}, "prefer": ["slurm"], "because": "it is for that"}
    data = named(render(users=[USER], routing=[rule]), "ConfigMap")["data"]
    config = RouterConfig.model_validate_json(data["router.json"])
    assert [found.because for found in config.rules()] == ["it is for that"]
    assert config.lease is not None
    assert (config.lease.namespace, config.lease.name) == ("platform-jobs", "job-router")
    assert named(render(), "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > (
        config.grace_seconds + 10
    )


def test_metrics_are_for_the_namespaces_that_the_site_names() -> None:
    def sources(**values: Any) -> list[dict[str, Any]]:
        (rule,) = named(render(**values), "NetworkPolicy")["spec"]["ingress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": "health"}]
        return list(rule["from"])

    own = {"podSelector": {}}
    assert sources() == [own]
    theirs = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert sources(metrics={"namespaces": ["monitoring"]}) == [own, theirs]


@pytest.mark.parametrize("monitor", [False, True])
def test_metrics_are_found_by_annotations_or_by_a_service_monitor(monitor: bool) -> None:
    objects = render(metrics={"serviceMonitor": monitor})
    assert any(found["kind"] == "ServiceMonitor" for found in objects) is monitor
    annotations = named(objects, "Service")["metadata"].get("annotations") or {}
    assert ("prometheus.io/scrape" in annotations) is not monitor


def test_who_may_enter_pods_is_granted_after_the_policy_that_limits_it() -> None:
    """Helm makes rights early and admission policies last, but hooks after everything."""
    objects = render()
    entering = [
        found["metadata"]["name"]
        for found in objects
        if found["kind"] in ("Role", "ClusterRole")
        for rule in found["rules"]
        if "pods/exec" in rule["resources"]
    ]
    assert entering == ["platform-users-enter"]
    grants = [found for found in objects if found.get("roleRef", {}).get("name") == "platform-users-enter"]
    assert grants
    for grant in grants:
        assert grant["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    assert named(objects, "ValidatingAdmissionPolicyBinding", "kfoundry-enter")
