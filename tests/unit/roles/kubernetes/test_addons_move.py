"""Add-ons of one pod leave a host that went away before `install` gives up waiting for them."""

import re

import pytest
import yaml

from platformctl import paths
from platformctl.engine.checking.proofs.kubernetes import ADDONS

_ROLE = paths.data_dir() / "roles" / "kubernetes_addons"
_SILENT_SECONDS = 40  # until the control plane notices that a kubelet is silent


@pytest.mark.parametrize("name", ["metrics-server", "local-path"])
def test_an_addon_moves_within_the_time_that_is_waited_for_it(name: str) -> None:
    text = (_ROLE / "templates" / f"{name}.yaml.j2").read_text()
    found = re.findall(r"- (\{key: node\.kubernetes\.io/(?:unreachable|not-ready),.*\})", text)
    seconds = {taint["key"]: taint["tolerationSeconds"] for taint in map(yaml.safe_load, found)}
    assert set(seconds) == {"node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"}
    assert _SILENT_SECONDS + max(seconds.values()) < ADDONS.patience / 2
