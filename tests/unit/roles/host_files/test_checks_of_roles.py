"""Every file that a role writes for a program is tried by that program, and every service must be healthy."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl import paths

ROLES = paths.data_dir() / "roles"

# The program that must try the files of a path, for programs that a role brings.
PROGRAMS = {
    "/etc/kubernetes/kubelet.conf.d/*": "kubelet",
    "/etc/kubernetes/kubeadm.yaml": "the control plane",
    "/etc/kubernetes/apiserver/*.yaml": "the control plane",
    "/etc/containerd/*": "containerd",
    "{{ _containerd_mirror_files }}": "containerd",
    "/etc/docker/registry/config.yml": "docker-registry",
    "/etc/slurm/slurm.conf": "Slurm",
    "/etc/slurm/cgroup.conf": "Slurm",
    "/etc/slurm/gres.conf": "Slurm",
    "/etc/slurm/slurmdbd.conf": "slurmdbd",
    "/etc/mysql/*": "mariadbd",
    "*/haproxy.cfg": "haproxy",
    "*.nft": "nft",
}
# host_files tries these by itself.
BY_ITSELF = (
    "/etc/systemd/system/*",
    "/etc/apt/*",
    "/etc/sysctl.d/*",
    "/etc/modules-load.d/*",
    "/etc/tmpfiles.d/*",
)
# Keys and certificates, programs and what only they read, and lists for our own helpers.
UNTRIED = (
    "*.key",
    "*jwt_key }}",
    "*.crt",
    "/usr/local/*",
    "/etc/kubernetes/apiserver/hosts.json",
    "/etc/crictl.yaml",
    # Their task's own command tries them.
    "/etc/security/platformctl_users",
    "/etc/pam.d/platformctl-sshd",
    "/etc/ssh/sshd_config.d/*",
    "{{ _slurm_controller_hardware_file }}",
    "{{ _slurm_controller_processors_file }}",
    "{{ _device_health_files }}",
    "{{ _slurm_node_image_files }}",
    "/etc/platformctl/hugepages.json",
)
# Their work is done when they have started.
ONE_SHOT = ("systemd-modules-load.service", "systemd-sysctl.service")


def tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """All tasks that write files, with the names of their roles and themselves."""
    for path in sorted(ROLES.glob("*/tasks/*.yml")):
        for task in yaml.safe_load(path.read_text()) or []:
            if "host_files" in task:
                yield f"{path.parent.parent.name}: {task['name']}", task


TASKS = dict(tasks())


def written(task: dict[str, Any]) -> list[str]:
    """The paths that a task writes; an expression stands for itself, unless its list lies beside it."""
    files = task["host_files"].get("files", [])
    if isinstance(files, str):
        files = next(
            (items for name, items in task.get("vars", {}).items() if name in files), [{"path": files}]
        )
    return [item["path"] for item in files]


def programs(task: dict[str, Any], role: str) -> set[str]:
    """The programs that try the files of a task."""
    checks = task["host_files"].get("checks", [])
    if isinstance(checks, str):
        variables = yaml.safe_load((ROLES / role / "vars/main.yml").read_text())
        checks = next(value for name, value in variables.items() if name in checks)
    return {check["program"] for check in checks}


@pytest.mark.parametrize("name", TASKS)
def test_its_files_are_tried(name: str) -> None:
    task = TASKS[name]
    for path in written(task):
        program = next((program for place, program in PROGRAMS.items() if fnmatch(path, place)), None)
        if any(fnmatch(path, place) for place in (*BY_ITSELF, *UNTRIED)):
            continue
        assert program, f"{path}: who reads it? Give it a check, or name it here as read by no program"
        assert program in programs(task, name.partition(":")[0]), f"{path} needs a check by {program}"


@pytest.mark.parametrize("name", TASKS)
def test_its_services_must_be_healthy(name: str) -> None:
    options = TASKS[name]["host_files"]
    units = [unit for unit in options.get("services", []) if unit.endswith(".service")]
    if set(units) - set(ONE_SHOT):
        assert "healthy" in options, f"say when {', '.join(units)} is healthy"


def test_files_go_by_the_record() -> None:
    """A reset task that deletes a file that host_files wrote would not bring back what was there before."""
    ours = {path for task in TASKS.values() for path in written(task)}
    deleted = {
        (path.relative_to(ROLES), item)
        for path in ROLES.glob("*/tasks/reset.yml")
        for task in yaml.safe_load(path.read_text())
        for item in _deleted(task)
    }
    assert deleted, "no reset deletes anything: has the form of their tasks changed?"
    assert not [(str(path), item) for path, item in deleted if item in ours]


def test_what_a_reset_gives_back_was_written_by_the_module() -> None:
    """It leaves alone what its record does not name, such as a file that another module wrote."""
    recorded = [item["path"] for task in TASKS.values() for item in task["host_files"].get("owned", [])]
    recorded += [path for task in TASKS.values() for path in written(task)]
    # Of the role tls_certificate, whose folder its users name.
    folders = (
        "/etc/docker/registry/tls",
        "{{ _slurm_rest_directory }}",
        "/etc/platformctl",
        "{{ _containerd_unlisted }}",
    )
    lists = (
        "/etc/containerd/certs.d",
        "/usr/local/bin/platform-run-image",
        "/etc/tmpfiles.d/platform-images.conf",
    )
    units = ("/etc/systemd/system/platform-images.service", "/etc/systemd/system/platform-images.timer")
    for name, task in TASKS.items():
        absent = task["host_files"].get("absent", [])
        for path in absent if isinstance(absent, list) else []:
            assert path in (*recorded, *folders, *lists, *units), f"{name}: {path} is not in the record"


def _deleted(task: dict[str, Any]) -> list[str]:
    options = task.get("ansible.builtin.file", {})
    if options.get("state") != "absent":
        return []
    return list(task.get("loop", [])) or [str(Path(options["path"]))]
