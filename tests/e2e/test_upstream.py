"""The README's ten lines, word for word, on a site whose artefacts come from their publishers.

They are run as on a machine that never saw this checkout: an installed wheel, an empty home, no Go. Only
that machine speaks to the publishers, which a local server plays; the hosts take everything from the site's
registry.
"""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths
from platformctl.artifacts import catalogue as catalogues
from platformctl.artifacts.lock import lock_path, read_lock
from tests.e2e import publishers as playing
from tests.e2e.conftest import Site, platformctl
from tests.e2e.publishers import Publishers

README = paths.data_dir() / "README.md"
CATALOGUE = catalogues.load().published()
# What a person at the terminal answers to the only question.
YES = b"y\n"
# What a person writes: own hosts, domain and users; and what the lab's hosts need, which are containers.
EDITOR = """\
import pathlib, shutil, sys
lab = pathlib.Path({lab!r})
for name in map(pathlib.Path, sys.argv[1:]):
    own = lab / name.relative_to("mysite")
    if name.name in ("hosts.yml", "base.yml", "kubernetes.yml", "slurm.yml"):
        shutil.copy(own, name)
    if name.name == "connection.yml":
        shutil.copy(own.with_name("platformctl-lab.yml"), name)
    if name.name in ("site.yml", "users.yml"):
        text = name.read_text().replace("mysite.example", "mysite.internal").replace(" Example", " Liddell")
        name.write_text(text)
"""


def ten_lines() -> list[str]:
    """The commands of the README's section, without their comments."""
    section = README.read_text().partition("## A real site in ten lines\n")[2].partition("\n## ")[0]
    lines = [line.partition("  # ")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    assert len(lines) == 10
    return lines


@dataclass
class Machine:
    """The operator's machine: a folder with a home and what was installed there."""

    folder: Path
    publishers: Publishers
    within: Callable[[Sequence[str]], list[str]]
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, line: str, code: int = 0) -> str:
        """Run a line of shell at a terminal on which YES was typed; returns what it said."""
        terminal, typed = pty.openpty()
        os.write(terminal, YES)
        said = self.folder / "said"
        with said.open("w") as output:
            # Into a file: a connection of ssh that stays open for the next command would hold a pipe open.
            done = subprocess.run(
                self.within(["bash", "-euc", line]),
                cwd=self.folder,
                env=self.variables,
                stdin=typed,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=900,
                check=False,
            )
        os.close(terminal)
        os.close(typed)
        text = said.read_text()
        assert done.returncode == code, f"{line}: exit {done.returncode}\n{text}"
        return text

    @property
    def store(self) -> Path:
        """Where the artefacts of the source `upstream` lie."""
        return self.folder / "home/.cache/platformctl/store/upstream"

    @property
    def index(self) -> dict[str, Any]:
        """What is in it."""
        found: dict[str, Any] = json.loads((self.store / "index.json").read_text())
        return found


@pytest.fixture(scope="module")
def lab() -> Iterator[Site]:
    """Hosts of a lab on which nothing is installed; its inventory has the variables that a lab needs."""
    name = f"test-{os.getpid()}-upstream"
    try:
        started = platformctl("lab", "up", "--name", name)
        assert started.returncode == 0, started.stdout + started.stderr
        found = json.loads(platformctl("--output", "json", "lab", "status", "--name", name).stdout)
        yield Site(name, Path(found["inventory"]), Path(found["state"]))
    finally:
        platformctl("lab", "down", "--name", name)


@pytest.fixture(scope="module")
def machine(lab: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the wheel of this checkout installed, and nothing else of it."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "home").mkdir()
    (folder / "certificates").mkdir()
    (folder / "edit.py").write_text(EDITOR.format(lab=str(lab.inventory)))
    source = yaml.safe_load((lab.inventory / "group_vars/all/artifacts.yml").read_text())["artifacts_source"]
    published = playing.publish(paths.cache_dir() / "store" / source, catalogues.load())
    with playing.serving(published, folder / "certificates") as within:
        _install_wheel(folder)
        yield Machine(folder, published, within, _environment(folder))


def _install_wheel(folder: Path) -> None:
    """Instead of the README's `pipx install`: what that does, with the wheel of this checkout."""
    beside = Path(sys.executable).parent
    for command in (
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        [str(beside / "uv"), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
    ):
        subprocess.run(command, cwd=paths.data_dir(), check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [str(beside / "uv"), "pip", "install", "--quiet", "--python", str(folder / "venv"), str(wheel)]
    subprocess.run(install, cwd=folder, check=True, capture_output=True)


def _environment(folder: Path) -> dict[str, str]:
    """That of a new user: no Go, and nothing of this checkout."""
    ours = ("XDG_", "PLATFORMCTL_", "GO", "VIRTUAL_ENV", "PYTHON")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    path = ":".join([f"{folder}/venv/bin", *(place for place in places if not Path(place, "go").exists())])
    assert shutil.which("go", path=path) is None
    return {
        **variables,
        "HOME": f"{folder}/home",
        "PATH": path,
        "EDITOR": f"{folder}/venv/bin/python {folder}/edit.py",
        "SSL_CERT_FILE": f"{folder}/certificates/ca.pem",
        # Saves time alone: wheels are checked by their hashes wherever they come from.
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv"),
        "NO_PROXY": ",".join(playing.NAMES),
    }


@pytest.fixture(scope="module")
def prepared(machine: Machine) -> list[str]:
    """The README's lines up to `plan` were run; the lines that follow."""
    lines = ten_lines()
    assert "pipx install " in lines[0]
    assert lines[6] == "platformctl install   -i mysite"
    for line in lines[1:6]:
        machine.run(line)
    return lines[6:]


def test_a_wrong_byte_stops_the_fetch_before_any_host_is_touched(
    machine: Machine, lab: Site, prepared: list[str]
) -> None:
    mysite = machine.folder / "mysite"
    machine.run("platformctl artifacts lock -i mysite")
    # The lock was made elsewhere: this machine has none of it.
    cache = machine.folder / "home/.cache/platformctl"
    shutil.rmtree(cache)
    pages = machine.publishers.pages
    kubelet = next(key for key in pages if key[0] == "cdn.dl.k8s.io" and key[1].endswith("/kubelet"))
    layer = next(key for key in pages if key[0] == "production.cloudflare.docker.com")
    for place, told in ((kubelet, "kubelet: sha256 is "), (layer, ": sha256 is ")):
        right = pages[place]
        assert isinstance(right.body, playing.Part)
        content = bytearray(right.body.read())
        content[len(content) // 2] ^= 1
        pages[place] = playing.Answer(body=bytes(content))
        said = machine.run("platformctl install -i mysite", code=1)
        pages[place] = right
        assert told in said
        assert "nothing was installed" in said
        assert not (machine.store / "index.json").exists()
        lab.host("ctl1", "test", "-e", "/var/lib/platformctl", code=1)
    lock_path(mysite).unlink()
    shutil.rmtree(cache)


def test_the_ten_lines_install_a_site(machine: Machine, prepared: list[str]) -> None:
    machine.publishers.asked.clear()
    said = machine.run(prepared[0])
    assert "No lock pins these yet" in said
    asked = len(machine.publishers.asked)
    for line in prepared[1:]:
        machine.run(line)
    assert len(machine.publishers.asked) == asked, "only `install` asks publishers"
    lock = read_lock(lock_path(machine.folder / "mysite"))
    assert lock is not None
    assert lock.source == "upstream"
    whoami = machine.run(f"{machine.store}/bin/kubectl --kubeconfig alice.kubeconfig auth whoami")
    assert "alice" in whoami


def test_every_entry_was_asked_for_at_its_own_address(machine: Machine) -> None:
    asked = set(machine.publishers.asked)
    # This site has chosen none of the images that only some sites need.
    wanted = {
        playing.image_pages(name, image.tag)
        for name, image in CATALOGUE.without_others(()).images.items()
        if not image.ours
    }
    for name in CATALOGUE.delivered():
        wanted.add(DOWNLOADS[name])
    assert wanted <= asked
    assert ("auth.docker.io", "/token") in asked
    assert ("ghcr.io", "/token") in asked
    assert machine.publishers.leaked == []
    unknown = {place for place in asked if place[1] != "/token" and place not in machine.publishers.pages}
    assert unknown == set()


# Written out, so that an address of the catalogue is not compared with itself.
DOWNLOADS = {
    "kubeadm": ("dl.k8s.io", "/v1.37.2/bin/linux/amd64/kubeadm"),
    "kubelet": ("dl.k8s.io", "/v1.37.2/bin/linux/amd64/kubelet"),
    "kubectl": ("dl.k8s.io", "/v1.37.2/bin/linux/amd64/kubectl"),
    "etcdctl": ("github.com", "/etcd-io/etcd/releases/download/v3.7.0/etcd-v3.7.0-linux-amd64.tar.gz"),
    "flannel-cni": (
        "github.com",
        "/containernetworking/plugins/releases/download/v0.9.1/cni-plugins-linux-amd64-v0.9.1.tgz",
    ),
    "helm": ("get.helm.sh", "/helm-v4.3.1-linux-amd64.tar.gz"),
}


def test_kubernetes_has_the_images_that_kubeadm_asks_for(machine: Machine) -> None:
    """They exist at their publisher: kubeadm names none that was not published."""
    command = f"{machine.store}/bin/kubeadm config images list --kubernetes-version v1.37.2"
    wanted = {line for line in machine.run(command).splitlines() if line.startswith("registry.k8s.io/")}
    images = machine.index["images"]
    ours = {f"{name}:{record['tag']}" for name, record in images.items()}
    assert len(wanted) == 7
    assert wanted <= ours


def test_hosts_run_what_the_publishers_have(machine: Machine, lab: Site) -> None:
    images = machine.index["images"]
    etcd = yaml.safe_load(lab.host("ctl1", "cat", "/etc/kubernetes/manifests/etcd.yaml"))
    assert etcd["spec"]["containers"][0]["image"] == "registry.k8s.io/etcd:3.7.0-0"
    pods = json.loads(lab.kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]
    running = {
        (status["image"], status["imageID"].rpartition("@")[2])
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
    }
    known = {(f"{name}:{record['tag']}", record["digest"]) for name, record in images.items()}
    assert (
        "registry.k8s.io/coredns/coredns:v1.14.6",
        images["registry.k8s.io/coredns/coredns"]["digest"],
    ) in running
    assert running <= known


def test_hosts_ask_the_registry_of_the_site_alone(lab: Site) -> None:
    for host in ("ctl1", "node1"):
        for name in ("docker.io", "ghcr.io", "registry.k8s.io"):
            hosts = lab.host(host, "cat", f"/etc/containerd/certs.d/{name}/hosts.toml")
            assert f'server = "https://registry.mysite.internal:5000/v2/{name}"' in hosts
