"""The add-ons' policies, as `kubectl apply` brings them to a real API server."""

import subprocess
from typing import Any

import pytest
import yaml

from tests.ansible_files import load, rendered
from tests.integration.control_plane import ADMIN, ControlPlane
from tests.programs import program

ROWS = [
    {"name": "gvisor", "kind": "gvisor", "overhead": {"memory": "64Mi"}},
    {"name": "own-users", "kind": "rootless"},
]
KINDS = {
    *("RuntimeClass", "StorageClass"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    *("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
}


def texts() -> dict[str, str]:
    """The manifests that have policies, as their role renders them."""
    classes = load("roles/kubernetes_addons/filter_plugins/runtime_classes.py")
    runtimes = classes.kubernetes_runtime_objects(ROWS, {"kubernetes_node": ["n1"]})
    folder = "roles/kubernetes_addons/templates"
    return {
        "runtime classes": rendered(
            f"{folder}/runtime-classes.yaml.j2", _kubernetes_addons_runtimes=runtimes
        ),
        "local-path": rendered(
            f"{folder}/local-path.yaml.j2",
            _kubernetes_addons_busybox="busybox:1",
            _kubernetes_addons_images={"docker.io/rancher/local-path-provisioner": {"tag": "1"}},
            kubernetes_addons_images_index={},
            kubernetes_addons_local_path="/var/lib/local-path-provisioner",
        ),
    }


def applied(plane: ControlPlane, objects: list[dict[str, Any]]) -> str:
    command = [program("kubectl"), "--kubeconfig", plane.kubeconfig(ADMIN), "apply", "-f", "-"]
    text = yaml.safe_dump_all(objects)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", texts())
def test_applying_policies_again_changes_nothing(control_plane: ControlPlane, name: str) -> None:
    objects = [one for one in yaml.safe_load_all(texts()[name]) if one and one["kind"] in KINDS]
    assert objects
    applied(control_plane, objects)
    again = applied(control_plane, objects).splitlines()
    assert [line for line in again if not line.endswith(" unchanged")] == []
