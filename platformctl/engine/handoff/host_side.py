"""A host while it moves: which daemon may run, what the old one has left behind, and starting the new.

Every script may be repeated. The files that say whose the host is are read by the units themselves, so a host
that boots in the middle of a move runs neither daemon.
"""

from pathlib import Path

from platformctl.engine import remote
from platformctl.engine.fleet import Host
from platformctl.engine.planning.ownership import OWNER, other
from platformctl.errors import ExitCode, PlatformError

_SECONDS = 90
_STOP = "roles/kubernetes_node/files/leave_kubernetes.sh"
_UNITS = {"kubernetes": "kubelet.service", "slurm": "slurmd.service"}
# Prints a line for everything that the scheduler's work has left. Device files are those of GPUs and of RDMA;
# what watches GPUs for the whole host may keep them open.
_LEFT = """
in_cgroup() {
  find /sys/fs/cgroup -path "$1" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un |
  while read -r pid; do
    [ "$pid" = 0 ] || echo "process $pid ($(cat /proc/$pid/comm 2>/dev/null))"
  done
}
mounted() { awk -v below="$1" 'index($2, below) == 1 { print "mount " $2 }' /proc/self/mounts; }
open_devices() {
  find /proc/[0-9]*/fd \\( -lname '/dev/nvidia[0-9]*' -o -lname '/dev/nvidia-caps/*' -o -lname /dev/kfd \\
    -o -lname '/dev/dri/render*' -o -lname '/dev/infiniband/uverbs*' \\) -printf '%h %l\\n' 2>/dev/null |
  while read -r folder device; do
    pid=${folder#/proc/}; pid=${pid%/fd}; name=$(cat /proc/$pid/comm 2>/dev/null)
    case "$name" in
      nvidia-persiste*|nv-hostengine|dcgm-exporter) ;;
      *) echo "process $pid ($name) has $device open" ;;
    esac
  done
}
"""
_OF = {
    "slurm": "pgrep -x 'slurmd|slurmstepd' | sed 's/.*/process & of Slurm/'; in_cgroup '*slurm*';"
    " mounted /var/spool/slurmd/; open_devices",
    "kubernetes": "pgrep -x kubelet | sed 's/.*/process & (kubelet)/';"
    " pgrep -f '[c]ontainerd-shim.* -namespace k8s.io' | sed 's/.*/process & (containerd-shim)/';"
    " in_cgroup '*kubepods*'; mounted /var/lib/kubelet/pods/; open_devices",
}


async def leave(host: Host, scheduler: str, data: Path) -> None:
    """Stop the daemon of a scheduler for good. From here on, the host is nobody's. data: the roles' place."""
    stop = (data / _STOP).read_text() if scheduler == "kubernetes" else "systemctl stop slurmd.service"
    await _done(host, f"set -e\nmkdir -p {OWNER}/{other(scheduler)} {OWNER}/{scheduler}\n{stop}")


async def left(host: Host, scheduler: str) -> list[str]:
    """What the scheduler's work has left on the host, in words: processes, mounts, open devices."""
    return (await _done(host, f"{_LEFT}\n{_OF[scheduler]}; true")).splitlines()


async def give(host: Host, scheduler: str) -> bool:
    """Let the host be a scheduler's, and start its daemon. Returns whether it had not run before."""
    unit = _UNITS[scheduler]
    said = await _done(
        host,
        f"set -e\nmkdir -p {OWNER}/{scheduler} {OWNER}/given\nrm -rf {OWNER}/{other(scheduler)}\n"
        f"systemctl is-active {unit} || systemctl start {unit}",
    )
    return said.strip() != "active"


async def owners(host: Host) -> frozenset[str]:
    """The schedulers that the host names: its owner, or both in the middle of a move."""
    said = await _done(host, f"for name in slurm kubernetes; do [ ! -e {OWNER}/$name ] || echo $name; done")
    return frozenset(said.split())


async def pause_image(host: Host) -> str:
    """The image of a program that does nothing, which every node of Kubernetes has."""
    said = await _done(host, "sed -n 's/.*sandbox_image *= *\"\\(.*\\)\"/\\1/p' /etc/containerd/config.toml")
    return said.strip()


async def _done(host: Host, script: str) -> str:
    reply = await remote.run(host.connection, script, seconds=_SECONDS)
    if reply.code != 0:
        raise PlatformError(
            f"{host.name} {reply.refusal}" if reply.unreachable else f"{host.name}: {reply.message}",
            where=host.name,
            next=f"look at the host: ssh {host.connection.address}; then the same command again",
            code=ExitCode.UNREACHABLE if reply.unreachable else ExitCode.FAILED,
        )
    return reply.out
