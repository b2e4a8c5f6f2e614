"""The site on the kind cluster: its platformctl, and what the cluster holds."""

import os
import subprocess
import sys
from pathlib import Path

from tests.kind import cluster

PLATFORMCTL = str(Path(sys.executable).parent / "platformctl")
SITE = str(Path(__file__).parents[2] / "inventories/kind")
KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,apiservices,leases,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,"
    "mutatingadmissionpolicybindings,configmaps,secrets,serviceaccounts,services,deployments,roles,"
    "rolebindings,networkpolicies,poddisruptionbudgets,priorityclasses"
)


def platformctl(*arguments: str, code: int = 0, data: str = "", **environment: str) -> str:
    """Run it for the site on kind; it must exit with `code`."""
    done = subprocess.run(
        [PLATFORMCTL, *arguments],
        input=data,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def objects() -> set[str]:
    """The names of everything that charts make, over all namespaces."""
    names = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"
    return set(cluster.kubectl("get", KINDS, "-A", "-o", f"jsonpath={names}").split())
