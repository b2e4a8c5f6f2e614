"""A molecule scenario for a site's inventory, as `platformctl verify --molecule` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from platformctl.lab import podman
from platformctl.site import secrets
from tests.conftest import light_inventory
from tests.vaulted import encrypted, site_key

pytestmark = pytest.mark.lab
_SLURM = ("munge", "slurm_accounting", "slurm_controller", "slurm_node")
_PLATFORMCTL = Path(sys.executable).with_name("platformctl")


def test_base_is_proven_for_a_site_on_a_lab_that_is_gone_afterwards(tmp_path: Path) -> None:
    inventory = light_inventory(tmp_path / "site", ["h1"])
    tasks = {group: {"hosts": {"h1": {}}} for group in _SLURM}
    with (inventory / "hosts.yml").open("a") as hosts:
        hosts.write(f"  children: {json.dumps(tasks)}\n")
    secrets.ensure(inventory)
    (inventory / "group_vars/all/become.yml").write_text(
        encrypted("ansible_become_password", "of the site", site_key(inventory))
    )
    what = ["verify", "--molecule", "-i", inventory, "--scenario", "base"]
    done = subprocess.run(
        [_PLATFORMCTL, "--output", "json", *what], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (row,) = json.loads(done.stdout)
    assert (row["scenario"], row["result"]) == ("base", "ok")
    networks = podman.labelled(("network", "ls"), None)
    assert not [
        name for network in networks if (name := network["labels"][podman.LAB_LABEL]).startswith("base-")
    ]
