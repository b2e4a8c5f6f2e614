"""What the charts stage asks of Helm: values from the inventory, and digests that notice every change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl.clients.helm import Release
from platformctl.engine import releases
from platformctl.engine.cluster import charts
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.engine.releases import RELEASES
from platformctl.errors import PlatformError

VARIABLES: dict[str, Any] = {
    "site_domain": "lab.example",
    "users_groups": [{"name": "physics", "gid": 20001}],
    "users_accounts": [
        {"name": "alice", "uid": 10001, "groups": ["physics"], "slurm_account": "physics"},
        {"name": "gone", "uid": 10002, "state": "absent"},
    ],
    "secret_slurm_jwt_key": "c2VjcmV0",
    "secret_site_ca_certificate": "PEM",
}
INDEX = {
    "images": {
        "ghcr.io/platformctl/job-router": {"tag": "0.1.0-abc"},
        "ghcr.io/dask/dask-kubernetes-operator": {"tag": "2026.3.0"},
    },
    "charts": {"job-router": {"path": "charts/a.tgz"}, "dask-operator": {"path": "charts/b.tgz"}},
}
CHARTS = {chart.name: chart for chart in RELEASES}


def fleet(*groups: str) -> Fleet:
    host = Host("ctl1", frozenset(groups), VARIABLES, Connection("192.0.2.11"))
    return Fleet("lab", Path("/inventory"), {"ctl1": host}, dict.fromkeys(groups, ("ctl1",)))


def release(name: str, site: Fleet, index: Mapping[str, Any] = INDEX) -> Release:
    return charts.helm_release(CHARTS[name], site, index)


async def test_jinja_in_the_inventory_is_evaluated_for_the_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles see the value, and so must the charts: a raw text would be no address."""
    variables = VARIABLES | {"x_address": "198.51.100.7", "base_address": "{{ x_address }}"}
    host = Host("ctl1", frozenset(["slurm_rest"]), variables, Connection("192.0.2.11"))
    built = []

    async def unreachable(site: Fleet) -> str:
        built.append(release("job-router", site))
        raise PlatformError("stopped here")

    monkeypatch.setattr(charts.access, "admin_kubeconfig", unreachable)
    with pytest.raises(PlatformError, match="stopped here"):
        await charts.apply(Fleet("lab", Path("/i"), {"ctl1": host}, {"slurm_rest": ("ctl1",)}), INDEX)
    assert built[0].values["slurm"]["hostAddress"] == "198.51.100.7"


def test_the_router_knows_the_sites_users_and_slurm() -> None:
    router = release("job-router", fleet("slurm_rest"))
    assert router.chart == fleet().store / "charts/a.tgz"
    assert router.values == {
        "site": "lab",
        "image": {"tag": "0.1.0-abc"},
        "users": [
            {
                "name": "alice",
                "uid": 10001,
                "gid": 10001,
                "groups": [20001],
                "account": "physics",
                "home": "/home/alice",
            }
        ],
        "disabledUsers": [],
        "groups": [{"name": "physics", "gid": 20001}],
        "home": {"path": "/home"},
        "slurm": {
            "enabled": True,
            "address": "https://rest.lab.example:6820",
            "hostAddress": "192.0.2.11",
            "certificateAuthority": "PEM",
            "keySecret": "job-router-slurm",
            "keyDigest": releases._slow_digest("c2VjcmV0"),
        },
        "slurmOptions": {"folders": ["/home"]},
        "templates": {},
        "network": {
            "api": [],
            "internet": True,
            "closed": ["169.254.0.0/16", "192.0.2.11/32"],
        },
    }


def test_what_the_site_decides_about_slurm_is_added_to_its_homes() -> None:
    decided = {"forbid": {"reboot": "operators boot"}, "folders": ["/scratch"]}
    host = Host("ctl1", frozenset(), {**VARIABLES, "slurm_job_options": decided}, Connection("192.0.2.11"))
    values = release("job-router", Fleet("lab", Path("/i"), {"ctl1": host}, {})).values
    assert values["slurmOptions"] == {
        "forbid": {"reboot": "operators boot"},
        "folders": ["/home", "/scratch"],
    }


def test_what_templates_mean_on_slurm_is_the_sites_to_say() -> None:
    decided = {
        "node_features": {"disk=ssd": "ssd"},
        "claim_folders": {"default/data": "/data"},
        "secrets": True,
    }
    host = Host("ctl1", frozenset(), {**VARIABLES, "slurm_job_options": decided}, Connection("192.0.2.11"))
    values = release("job-router", Fleet("lab", Path("/i"), {"ctl1": host}, {})).values
    assert values["slurmOptions"] == {"folders": ["/home"]}
    assert values["templates"] == {
        "nodeFeatures": {"disk=ssd": "ssd"},
        "claimFolders": {"default/data": "/data"},
        "slurmSecrets": True,
    }


def test_what_jobs_may_have_is_the_sites_to_say_and_the_rest_stays_the_charts() -> None:
    decided = {"array_at_once": 0, "per_user": {"pods": 5}, "text_kib": 64}
    host = Host(
        "ctl1", frozenset(), {**VARIABLES, "kubernetes_job_limits": decided}, Connection("192.0.2.11")
    )
    values = release("job-router", Fleet("lab", Path("/i"), {"ctl1": host}, {})).values
    assert values["kubernetes"] == {"arrayAtOnce": 0, "limits": {"perUser": {"pods": 5}}}
    assert values["storage"] == {"textKiB": 64}


def test_no_secret_is_a_value() -> None:
    assert "c2VjcmV0" not in str(release("job-router", fleet("slurm_rest")))


def test_a_site_without_slurm() -> None:
    assert release("job-router", fleet()).values["slurm"] == {"enabled": False}


def test_a_site_whose_kubernetes_hosts_lack_the_home() -> None:
    host = Host("ctl1", frozenset(), {**VARIABLES, "shared_home_kubernetes": False}, Connection("192.0.2.11"))
    assert "home" not in release("job-router", Fleet("lab", Path("/i"), {"ctl1": host}, {})).values


def test_a_chart_without_values_of_the_site_still_names_its_image() -> None:
    dask = release("dask-operator", fleet())
    assert dask.chart == fleet().store / "charts/b.tgz"
    assert dask.values == {"image": {"tag": "2026.3.0"}}


def test_a_cluster_of_others_pulls_from_the_registry_that_the_site_names() -> None:
    variables = {**VARIABLES, "kubernetes_image_registry": "registry.example/lab/"}
    host = Host("ctl1", frozenset(), variables, Connection("192.0.2.11"))
    dask = release("dask-operator", Fleet("lab", Path("/i"), {"ctl1": host}, {}))
    assert dask.values["image"]["repository"] == "registry.example/lab/dask-kubernetes-operator"


def test_missing_artefacts_are_named() -> None:
    with pytest.raises(PlatformError, match=r"lack ghcr\.io/platformctl/job-router"):
        release("job-router", fleet(), {})


def test_a_digest_notices_an_edit_without_a_new_version(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("version: 1\n")
    first = Release("a", "b", chart, {"x": 1}).digest()
    assert Release("a", "b", chart, {"x": 1}).digest() == first
    assert Release("a", "b", chart, {"x": 2}).digest() != first
    (chart / "Chart.yaml").write_text("version: 1 \n")
    assert Release("a", "b", chart, {"x": 1}).digest() != first
