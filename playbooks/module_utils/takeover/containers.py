"""Containers that run on a host now."""

from __future__ import annotations

from ansible.module_utils.takeover import host

# The kubelet's; where platformctl runs the kubelet, it is ours.
KUBERNETES = "k8s.io"
# What ctr, or whoever waited for it, says of a containerd that runs and does not answer.
_SILENT = ("deadline exceeded", "did not end within")


def of_containerd(containers: bool = False) -> dict[str, int]:
    """By containerd's namespace, how many containers run in it; with containers, also those that do not."""
    code, output, errors = host.run("ctr", "--connect-timeout", "20s", "namespaces", "list", "--quiet")
    if code != 0 and any(words in errors for words in _SILENT):
        raise RuntimeError(f"containerd does not answer, so nobody knows what runs there: {errors.strip()}")
    if code != 0:
        return {}
    listing = ("containers", "list", "--quiet") if containers else ("tasks", "list", "--quiet")
    counts = {name: len(host.ask("ctr", "--namespace", name, *listing).split()) for name in output.split()}
    return {name: count for name, count in counts.items() if count}


def of_docker() -> int:
    """How many containers run in Docker."""
    return len(host.ask("docker", "ps", "--quiet").split())


def words() -> list[str]:
    """What runs, in words; empty if nothing does."""
    found = [
        f"{_count(count)} in namespace {name}"
        for name, count in sorted(of_containerd().items())
        if name != "moby"
    ]
    docker = of_docker()
    return [*found, *([f"{_count(docker)} of Docker"] if docker else [])]


def _count(number: int) -> str:
    return f"{number} running container" + ("" if number == 1 else "s")
