"""What is applied for plugins of vendors and DRA drivers."""

import json
from typing import Any

import pytest
import yaml

from platformctl import paths
from platformctl.artifacts import catalogue
from tests.ansible_files import load, rendered

offers = load("roles/kubernetes_addons/filter_plugins/device_offers.py")
GPU = {"kind": "gpu", "vendor": "nvidia", "type": "a100"}
NVIDIA = "nvidia-device-plugin"
RDMA = "rdma-shared-device-plugin"

VARIABLES = yaml.safe_load((paths.data_dir() / "roles/kubernetes_addons/vars/main.yml").read_text())


def host(**row: Any) -> dict[str, Any]:
    return {"node_owner": "kubernetes", "group_names": ["kubernetes_node"], "node_devices": [row]}


HOSTS = {
    "n1": host(**GPU, files=["/dev/nvidia[0-1]"], offered_by=NVIDIA, sharing={"how": "time", "holders": 2}),
    "n2": host(**GPU, files=["/dev/nvidia[0-1]"], offered_by=NVIDIA, sharing={"how": "time", "holders": 2}),
    "n3": host(kind="rdma", files=["/dev/infiniband/uverbs0"], interfaces=["ib0"], offered_by=RDMA),
    "n4": host(**GPU, files=["/dev/nvidia[0-3]"], offered_by="dra", dra_driver="gpu.example.com"),
    "n5": host(
        **GPU, files=["/dev/nvidia0"], offered_by="dra", dra_driver="gpu.big", resource="nvidia.com/big"
    ),
}


@pytest.fixture(scope="module")
def applied() -> list[dict[str, Any]]:
    classes = offers.kubernetes_device_offers(list(HOSTS), HOSTS)
    names = {NVIDIA: "plugin", RDMA: "rdma", "dra": "driver"}
    text = rendered(
        "roles/kubernetes_addons/templates/device-offers.yaml.j2",
        filters=offers.FilterModule().filters(),
        _kubernetes_addons_device_offers=classes,
        _kubernetes_addons_device_drivers=offers.kubernetes_device_drivers(classes),
        _kubernetes_addons_offering=names,
        _kubernetes_addons_folders=VARIABLES["_kubernetes_addons_folders"],
        _kubernetes_addons_images={name: {"tag": "v1"} for name in names.values()},
        device_health_harmless_xids=[62],
    )
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(applied: list[dict[str, Any]], kind: str, start: str = "") -> list[dict[str, Any]]:
    return [one for one in applied if one["kind"] == kind and one["metadata"]["name"].startswith(start)]


def test_hosts_that_offer_the_same_share_a_plugin(applied: list[dict[str, Any]]) -> None:
    (plugin,) = of_kind(applied, "DaemonSet", NVIDIA)
    pod = plugin["spec"]["template"]["spec"]
    (name,) = {one["name"] for one in offers.kubernetes_device_offers(["n1", "n2"], HOSTS)}
    assert pod["nodeSelector"] == {f"devices.platformctl.io/offered-by-{NVIDIA}": name}
    assert {"name": "DP_DISABLE_HEALTHCHECKS", "value": "62"} in pod["containers"][0]["env"]
    assert pod["containers"][0]["image"] == "plugin:v1"
    (config,) = of_kind(applied, "ConfigMap", NVIDIA)
    settings = json.loads(config["data"]["config.json"])
    assert settings["sharing"] == {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 2}]}}
    assert settings["flags"]["migStrategy"] == "none"


def test_every_mount_has_its_volume_and_every_volume_its_mount(applied: list[dict[str, Any]]) -> None:
    for one in of_kind(applied, "DaemonSet"):
        pod = one["spec"]["template"]["spec"]
        mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}, one["metadata"]["name"]


def test_slices_are_offered_by_their_profiles() -> None:
    entries = [{"resource": "nvidia.com/mig-1g.10gb", "count": 7, "holders": 1, "slices": True}]
    assert offers.nvidia_plugin_settings(entries)["flags"]["migStrategy"] == "mixed"


def test_the_rdma_plugin_offers_as_many_as_the_table(applied: list[dict[str, Any]]) -> None:
    (config,) = of_kind(applied, "ConfigMap", RDMA)
    (resource,) = json.loads(config["data"]["config.json"])["configList"]
    assert resource == {
        "resourcePrefix": "rdma",
        "resourceName": "hca",
        "rdmaHcaMax": 1,
        "selectors": {"ifNames": ["ib0"]},
    }


def test_pods_get_devices_of_a_dra_driver_by_the_resources_name(applied: list[dict[str, Any]]) -> None:
    classes = {one["metadata"]["name"]: one["spec"] for one in of_kind(applied, "DeviceClass")}
    assert classes["nvidia.com-gpu"]["extendedResourceName"] == "nvidia.com/gpu"
    assert (
        classes["nvidia.com-gpu"]["selectors"][0]["cel"]["expression"] == 'device.driver == "gpu.example.com"'
    )
    assert set(classes) == {"nvidia.com-gpu", "nvidia.com-big"}


def test_only_the_driver_of_simulated_gpus_is_installed(applied: list[dict[str, Any]]) -> None:
    (driver,) = of_kind(applied, "DaemonSet", "dra-")
    pod = driver["spec"]["template"]["spec"]
    assert {"name": "NUM_DEVICES", "value": "4"} in pod["containers"][0]["env"]
    assert [one["metadata"]["name"] for one in of_kind(applied, "ServiceAccount")] == [
        pod["serviceAccountName"]
    ]


def test_the_plugins_are_the_catalogues() -> None:
    images = catalogue.load().images
    for who, name in VARIABLES["_kubernetes_addons_offering"].items():
        assert images[name].only_for == ("gpu.example.com" if who == "dra" else who)
