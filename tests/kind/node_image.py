"""The node image of a kind cluster, built here for machines that cannot pull the public one.

kind's own files come from its Go module when the image is built; Kubernetes and the images of its control
plane from the store of artefacts.
"""

import shutil
from pathlib import Path

from platformctl.artifacts import export
from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.artifacts.programs import module_sources
from platformctl.artifacts.store import open_store
from platformctl.lab import image as lab_image
from platformctl.lab import podman
from tests import gobuild

_HERE = Path(__file__).parent
_MODULE = _HERE / "gomodule"
_REPOSITORY = "localhost/platformctl-kind-node"
_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
_NETWORK_PLUGIN = "flannel-cni"
_IMAGES = (
    "registry.k8s.io/kube-apiserver",
    "registry.k8s.io/kube-controller-manager",
    "registry.k8s.io/kube-scheduler",
    "registry.k8s.io/kube-proxy",
    "registry.k8s.io/pause",
    "registry.k8s.io/etcd",
    "registry.k8s.io/coredns/coredns",
    "ghcr.io/flannel-io/flannel",
    "docker.io/library/busybox",
)
# Containers have no CAP_SYS_RESOURCE on every machine: limits stay as podman gives them.
_CONTAINERD_UNIT = """\
[Service]
ExecStart=
ExecStart=/usr/bin/containerd
ExecStartPost=/kind/bin/import-images
OOMScoreAdjust=0
LimitNPROC=
LimitNOFILE=
LimitCORE=
"""
_CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:{pause}"
  tolerate_missing_hugetlb_controller = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
[plugins."io.containerd.grpc.v1.cri".containerd]
  discard_unpacked_layers = false
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def ensure(source: str = "modules") -> str:
    """The image's reference, built if there is none of the same artefacts, module of kind and files."""
    store = open_store(source)
    index = store.index()
    wanted = f"{_REPOSITORY}:v{index['binaries']['kubelet']['version']}-{_digest(index)[:12]}"
    if podman.run("image", "exists", wanted, check=False).returncode == 0:
        return wanted
    base = lab_image.ensure(print)
    context = Path(__file__).parents[2] / "build/kind/context"
    shutil.rmtree(context, ignore_errors=True)
    _fill(context, store.folder, index)
    arguments = ["--isolation=chroot", "--network=host", f"--build-arg=BASE={base}", "--tag", wanted]
    podman.run("build", "--quiet", *arguments, "--file", str(_HERE / "Containerfile"), str(context))
    shutil.rmtree(context)
    return wanted


def _digest(index: dict[str, dict[str, dict[str, str]]]) -> str:
    """Of what goes into the image; what else the store has, the charts and their images, is loaded later."""
    files = [Path(__file__), _HERE / "Containerfile", _HERE / "import-images", *sorted(_MODULE.iterdir())]
    programs = [index["binaries"][name] for name in (*_PROGRAMS, _NETWORK_PLUGIN)]
    images = [index["images"][name] for name in _IMAGES]
    return hash_value([lab_image.reference(), programs, images, [hash_file(file) for file in files]])


def _fill(context: Path, store: Path, index: dict[str, dict[str, dict[str, str]]]) -> None:
    files = module_sources(_MODULE, "sigs.k8s.io/kind") / "images/base/files"
    # Go keeps modules read-only.
    shutil.copytree(files, context / "files", copy_function=shutil.copyfile)
    for path in (context / "files").rglob("*"):
        path.chmod(0o755)
    (context / "files").chmod(0o755)
    for folder in (
        "bin",
        "cni",
        "kind/bin",
        "kind/manifests",
        "files/etc/systemd/system/containerd.service.d",
    ):
        (context / folder).mkdir(parents=True, exist_ok=True)
    for name in _PROGRAMS:
        shutil.copy(store / "bin" / name, context / "bin" / name)
    shutil.copy(
        gobuild.program(_MODULE, "crictl", "sigs.k8s.io/cri-tools/cmd/crictl"), context / "bin/crictl"
    )
    shutil.copy(store / "bin" / _NETWORK_PLUGIN, context / "cni/flannel")
    (context / "kind/version").write_text(f"v{index['binaries']['kubelet']['version']}")
    shutil.copy(_HERE / "import-images", context / "kind/bin")
    unit = context / "files/etc/systemd/system/containerd.service.d/kind.conf"
    unit.write_text(_CONTAINERD_UNIT)
    pause = index["images"]["registry.k8s.io/pause"]["tag"]
    (context / "files/etc/containerd/config.toml").write_text(_CONTAINERD.format(pause=pause))
    export.write(store, index, _IMAGES, context / "kind/images.tar")
