"""Names in kubeadm's configuration stay texts, whatever YAML would take them for."""

import pytest
import yaml

from tests.ansible_files import rendered

NAMES = ["12", "1e3", "no", "node1"]
CONTROL_PLANE = "roles/kubernetes_control_plane/templates"


@pytest.mark.parametrize("name", NAMES)
def test_the_control_planes_node(name: str) -> None:
    text = rendered(
        f"{CONTROL_PLANE}/kubeadm.yaml.j2",
        inventory_hostname=name,
        kubernetes_kubelet_address="192.0.2.11",
        _kubernetes_control_plane_proxy={"kind": "KubeProxyConfiguration"},
    )
    assert next(yaml.safe_load_all(text))["nodeRegistration"]["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_node_that_joins(name: str) -> None:
    script = rendered(
        "roles/kubernetes_node/templates/join.sh.j2",
        inventory_hostname=name,
        kubernetes_kubelet_address="192.0.2.12",
        _kubernetes_kubelet_moves=False,
    )
    text = script.partition("<<END\n")[2].partition("END\n")[0]
    assert yaml.safe_load(text.replace("$folder", "/run"))["nodeRegistration"]["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_the_cluster_and_its_certificates(name: str) -> None:
    text = rendered(
        f"{CONTROL_PLANE}/cluster.yaml.j2",
        site_name=name,
        site_domain="7",
        groups={"kubernetes_control_plane": [name]},
        hostvars={name: {"ansible_host": "192.0.2.11"}},
        kubernetes_kubelet_artifacts_index={"binaries": {"kubeadm": {"version": "1.36.0"}}},
        kubernetes_pod_network="10.244.0.0/16",
        kubernetes_service_network="10.96.0.0/12",
        kubernetes_control_plane_audit_max_age_days=30,
        kubernetes_control_plane_audit_max_size_mib=100,
        kubernetes_control_plane_audit_max_backups=10,
        kubernetes_control_plane_etcd_quota_mib=4096,
        _kubernetes_control_plane_digest="",
        _kubernetes_kubelet_ciphers=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        _kubernetes_control_plane_endpoint="api.7",
        _kubernetes_control_plane_images={
            "registry.k8s.io/etcd": {"tag": "3"},
            "registry.k8s.io/coredns/coredns": {"tag": "v1"},
        },
    )
    cluster = yaml.safe_load(text)
    assert cluster["clusterName"] == name
    assert cluster["apiServer"]["certSANs"] == ["api.7", f"{name}.7", "192.0.2.11"]
