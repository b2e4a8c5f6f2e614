"""kind on podman: a cluster of one node, its network, and the images of the platform's charts on it."""

import os
import subprocess
from pathlib import Path

import jinja2
import yaml

from platformctl.artifacts import export
from platformctl.artifacts.store import Store, open_store
from platformctl.errors import PlatformError
from tests import gobuild
from tests.kind import node_image

NAME = "platformctl"
BUILD = Path(__file__).parents[2] / "build/kind"
KUBECONFIG = BUILD / "kubeconfig"
_ROOT = Path(__file__).parents[2]
_PODS = "10.245.0.0/16"
_SERVICES = "10.112.0.0/16"
# What the charts and the smoke jobs run.
_IMAGES = ("job-router", "dask-kubernetes-operator", "dask", "docker.io/library/debian")
# As in a lab: cgroup v1 and no CAP_SYS_RESOURCE; of no harm elsewhere.
_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": "/",
    "failCgroupV1": False,
    "failSwapOn": False,
    "featureGates": {"KubeletInUserNamespace": True},
}
_PROXY = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "conntrack": {"maxPerCore": 0, "min": 0},
    "mode": "nftables",
}
_LIMITS = (
    '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=8192:8192"]\n[engine]\nruntime = "runc"\n'
)


# Until a node has its rules, what it sends to pods and services would leave the machine by its default route.
_TABLE = "platformctl_kind"
_GUARD = f"""\
table inet {_TABLE}
delete table inet {_TABLE}
table inet {_TABLE} {{
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    ip daddr {{ {_PODS}, {_SERVICES} }} counter drop
  }}
}}
"""


def up(image: str | None = None) -> None:
    """Make the cluster unless it is there. image: the public node image; one of our own where it is None."""
    BUILD.mkdir(parents=True, exist_ok=True)
    if NAME not in _kind("get", "clusters").split():
        chosen = image or node_image.ensure()
        Path("/lib/modules").mkdir(exist_ok=True)
        _run(["nft", "-f", "-"], _GUARD)
        configuration = BUILD / "cluster.yml"
        configuration.write_text(yaml.safe_dump(_cluster()))
        options = ["--name", NAME, "--image", chosen, "--config", str(configuration), "--retain"]
        _kind("create", "cluster", *options, "--kubeconfig", str(KUBECONFIG))
    _network()
    load()


def load(store: Store | None = None) -> None:
    """Bring a store's images of the charts to the node. store: this checkout's where it is None."""
    store = store or open_store("modules")
    index = store.index()
    archive = BUILD / "charts.tar"
    export.write(store.folder, index, export.chosen(index, _IMAGES), archive)
    _kind("load", "image-archive", str(archive), "--name", NAME)
    archive.unlink()


def down() -> None:
    """Remove the cluster."""
    subprocess.run(["nft", "delete", "table", "inet", _TABLE], capture_output=True, check=False)
    _kind("delete", "cluster", "--name", NAME, "--kubeconfig", str(KUBECONFIG))


def kubectl(*arguments: str, data: str = "") -> str:
    """Run kubectl on the cluster."""
    program = open_store("modules").folder / "bin/kubectl"
    return _run([str(program), "--kubeconfig", str(KUBECONFIG), *arguments], data)


def _cluster() -> dict[str, object]:
    images = open_store("modules").index()["images"]
    # kubeadm would ask for the versions that it was released with.
    tags = {
        "kind": "ClusterConfiguration",
        "etcd": {"local": {"imageTag": images["registry.k8s.io/etcd"]["tag"]}},
        "dns": {"imageTag": images["registry.k8s.io/coredns/coredns"]["tag"]},
    }
    patches = [yaml.safe_dump(patch) for patch in (_KUBELET, _PROXY, tags)]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": True, "podSubnet": _PODS, "serviceSubnet": _SERVICES},
        "kubeadmConfigPatches": patches,
        "nodes": [{"role": "control-plane"}],
    }


def _network() -> None:
    """Flannel, by the manifest that the role applies."""
    tags = open_store("modules").index()["images"]
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    environment.filters["hash"] = lambda text, _kind: text.replace(".", "-").replace("/", "-")
    template = environment.from_string(
        (_ROOT / "roles/kubernetes_network/templates/flannel.yaml.j2").read_text()
    )
    images = {
        f"_kubernetes_network_{name}": f"{image}:{tags[image]['tag']}"
        for name, image in (
            ("flannel", "ghcr.io/flannel-io/flannel"),
            ("busybox", "docker.io/library/busybox"),
        )
    }
    manifest = template.render(kubernetes_pod_network=_PODS, site_domain="kind.example", **images)
    # Flannel starts before there is a service network; the only node is the API server's.
    kubectl("apply", "-f", "-", data=manifest.replace("api.kind.example", "127.0.0.1"))
    kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s")


def _kind(*arguments: str) -> str:
    limits = BUILD / "containers.conf"
    limits.write_text(_LIMITS)
    program = gobuild.program(Path(__file__).with_name("gomodule"), "kind", "sigs.k8s.io/kind")
    environment = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": "podman", "CONTAINERS_CONF": str(limits)}
    return _run([str(program), *arguments], environment=environment)


def _run(command: list[str], data: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, input=data, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise PlatformError(
            f"{Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}",
            where=" ".join(command[1:4]),
            next="python -m tests.kind down, then up",
        )
    return done.stdout
