"""A cluster of others beside a Slurm that is named by its URL: jobs go to both."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from platformctl import lab as labs
from platformctl.engine.loading import load
from platformctl.site import secrets
from tests.conftest import light_inventory
from tests.kind import cluster
from tests.kind.site import SITE, platformctl

_GROUPS = ("munge", "slurm_accounting", "slurm_controller", "slurm_rest", "slurm_node")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    """A lab of one host that is all of a Slurm."""
    name = f"test-{os.getpid()}-slurm"
    inventory = light_inventory(tmp_path_factory.mktemp("slurm") / "inventory", ["h1"])
    groups = {group: {"hosts": {"h1": {}}} for group in _GROUPS}
    with (inventory / "hosts.yml").open("a") as hosts:
        hosts.write(f"  children: {json.dumps(groups)}\n")
    try:
        lab = labs.up(name, inventory)
        platformctl("install", "--yes", "-i", str(lab.inventory))
        yield lab
    finally:
        labs.down(name)


@pytest.fixture(scope="module")
def site(before: set[str], slurm: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site on kind, told where that Slurm is."""
    folder = tmp_path_factory.mktemp("site") / "kind"
    shutil.copytree(SITE, folder, ignore=shutil.ignore_patterns(secrets.VAULT_NAME))
    everyone = folder / "group_vars/all"
    kubernetes = everyone / "kubernetes.yml"
    lines = [line for line in kubernetes.read_text().splitlines() if "kubernetes_kubeconfig" not in line]
    kubernetes.write_text("\n".join([*lines, f"kubernetes_kubeconfig: {cluster.KUBECONFIG}", ""]))
    # The JWT key is among the secrets.
    shutil.copy(secrets.vault_path(slurm.inventory), secrets.vault_path(folder))
    certificate = load(slurm.inventory).variables[secrets.CA_CERTIFICATE]
    address = slurm.host("h1").address
    elsewhere = {"slurm_rest_url": f"https://{address}:6820", "slurm_rest_certificate_authority": certificate}
    (everyone / "slurm.yml").write_text(json.dumps(elsewhere))
    platformctl("install", "--yes", "-i", str(folder))
    return folder


def test_a_job_runs_in_that_slurm_as_its_user(site: Path, slurm: labs.Lab, tmp_path: Path) -> None:
    config = tmp_path / "alice"
    platformctl("kubeconfig", "-i", str(site), "--user", "alice", "--file", str(config))
    script = "#!/bin/sh\nid -un\n"
    what = ("job", "submit", "-", "--name", "who", "--target", "slurm", "--watch")
    assert "Succeeded" in platformctl(*what, data=script, KUBECONFIG=str(config))
    ran = slurm.exec("h1", ["sacct", "-n", "-X", "-P", "-a", "-o", "jobname,user,state"]).stdout
    assert "who|alice|COMPLETED" in ran


def test_it_is_verified_with_a_job_on_each(site: Path) -> None:
    found = json.loads(platformctl("--output", "json", "verify", "-i", str(site)))
    assert {"Job to kubernetes", "Job to slurm"} <= {row["job"] for row in found if row["result"] == "ok"}, (
        found
    )
