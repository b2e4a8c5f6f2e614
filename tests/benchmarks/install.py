"""An installation on fresh hosts, stage by stage; a run with nothing to do; one changed variable.

FLOOR names a script to compare with: `FLOOR BIN IMAGES CONTROL WORKER COMPUTE` must bring a pod and an
srun to run on three fresh hosts (container names) and print `total SECONDS` last. BIN gets kubeadm, kubelet,
kubectl and flannel; IMAGES gets OCI archives, tagged as kubeadm expects by default, and flannel.yaml, which
FLOOR_FLANNEL names.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from platformctl import paths
from tests.benchmarks.archives import write_oci
from tests.benchmarks.figures import Figures
from tests.benchmarks.runs import STAGE_RESOLUTION, platformctl
from tests.labs import lab
from tests.programs import lab_source

NAME = "install"
RUNS = 3
_LAB = "bench-install"
_IMAGES = ("registry.k8s.io/", "ghcr.io/flannel-io/", "docker.io/library/busybox")
ABOUT = (
    "An installation of three fresh hosts with artefacts and package cache ready; branches of the "
    "graph run at the same time. The floor is a script that does the least that lets a pod and an "
    "srun run on such hosts, and nothing else; measured in the same run."
)


def measure(figures: Figures) -> None:
    """One run."""
    platformctl("artifacts", "fetch", "-i", str(paths.data_dir() / "inventories" / "lab"))
    floor = _floor(os.environ["FLOOR"]) if "FLOOR" in os.environ else None
    with lab(_LAB) as inventory:
        fresh = platformctl("install", "--yes", "-i", str(inventory))
        figures.add("fresh hosts, all stages", fresh.seconds, "s")
        if floor:
            figures.add("the floor script on such hosts", floor, "s")
            figures.add("ratio to the floor", fresh.seconds / floor, "1", at_most=1.5)
        for stage, seconds in fresh.stages().items():
            figures.add(f"stage {stage}", seconds, "s", resolution=STAGE_RESOLUTION)
        again = platformctl("install", "-i", str(inventory))
        figures.add("nothing to do", again.seconds, "s", at_most=10)
        full = platformctl("install", "--full", "--yes", "-i", str(inventory))
        figures.add("--full on a converged site", full.seconds, "s")
        figures.add("hosts changed by --full", _changed(full.events[-1]), "hosts", at_most=0)
        _change(inventory)
        one = platformctl("install", "--yes", "-i", str(inventory))
        figures.add("one variable of one role", one.seconds, "s")
        figures.add(
            "stages run for it", len(one.stages().keys() - {"artifacts", "preflight"}), "stages", at_most=1
        )


def _changed(finished: dict[str, Any]) -> int:
    """Hosts on which something changed; this machine counts as one."""
    return int(finished["changed"]) + bool(finished["local"]["changed"])


def _change(inventory: Path) -> None:
    path = inventory / "group_vars/all/slurm.yml"
    values = yaml.safe_load(path.read_text())
    values["slurm_node_service_limits"]["LimitNOFILE"] = "19999"
    path.write_text(yaml.safe_dump(values))


def _floor(script: str) -> float:
    """Seconds that the floor script takes on fresh hosts of a lab of its own."""
    name = f"{_LAB}-floor"
    store = paths.cache_dir() / "store" / lab_source()
    index = json.loads((store / "index.json").read_text())
    listed = subprocess.run(
        [store / "bin" / "kubeadm", "config", "images", "list", "--kubernetes-version", "v1.37.2"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = dict(line.rsplit(":", 1) for line in listed.stdout.split())
    with tempfile.TemporaryDirectory() as folder, lab(name):
        programs, images = Path(folder) / "bin", Path(folder) / "images"
        programs.mkdir()
        images.mkdir()
        for program in ("kubeadm", "kubelet", "kubectl"):
            shutil.copy(store / "bin" / program, programs)
        shutil.copy(store / "bin" / "flannel-cni", programs / "flannel")
        for image, entry in index["images"].items():
            if image.startswith(_IMAGES):
                write_oci(store / entry["archive"], f"{image}:{expected.get(image, entry['tag'])}", images)
        shutil.copy(os.environ["FLOOR_FLANNEL"], images / "flannel.yaml")
        hosts = [f"platformctl-{name}-{host}" for host in ("ctl1", "node1", "node2")]
        done = subprocess.run(
            [script, str(programs), str(images), *hosts], capture_output=True, text=True, check=False
        )
        print(done.stdout, done.stderr[-2000:])
        done.check_returncode()
        return float(done.stdout.split()[-1])
