"""The hosts of a lab: containers with systemd as their first process, which stand in for bare metal."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from platformctl.lab import podman

HOST_LABEL = "platformctl.host"
PREFIX = "platformctl"


@dataclass(frozen=True)
class Host:
    """One host of a lab. shared: the name of the container that all hosts of a fleet are in, else empty."""

    lab: str
    name: str
    address: IPv4Address
    shared: str = ""

    @property
    def container(self) -> str:
        """The name of its container."""
        return f"{PREFIX}-{self.lab}-{self.shared or self.name}"


def home_volume(lab: str) -> str:
    """The volume that all hosts of a lab mount at /home: the site's shared file system."""
    return f"{PREFIX}-{lab}-home"


def containerd_volume(host: Host) -> str:
    """A host's volume for images: overlay file systems cannot be nested in the container's own."""
    return f"{host.container}-containerd"


def volume_command(lab: str, name: str) -> list[str]:
    """Arguments of podman that create a volume of a lab."""
    return ["volume", "create", "--label", f"{podman.LAB_LABEL}={lab}", name]


def mac_address(address: IPv4Address) -> str:
    """The MAC address for an IP address, the same at every boot.

    If it were new at each start, neighbours would use the old one until it expires, for half a minute.
    """
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x70, *address.packed))


def run_command(host: Host, image: str, network: str, public_key: Path) -> list[str]:
    """Arguments of podman that boot a host.

    --systemd=false with explicit mounts replaces podman's own systemd mode. That mode mounts the machine's
    cgroup hierarchy into every host, so a host that stops would remove the control groups of the others.
    --dns-search . keeps podman's search domain out of resolv.conf, because it breaks look-ups in pods. Limits
    are set here because they cannot be raised inside.
    """
    return [
        *("--runtime", "runc", "run", "--detach", "--privileged"),
        *("--name", host.container, "--hostname", host.name),
        *("--label", f"{podman.LAB_LABEL}={host.lab}", "--label", f"{HOST_LABEL}={host.name}"),
        *("--systemd=false", "--cgroupns=private", "--stop-signal", "SIGRTMIN+3", "-e", "container=podman"),
        *("--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec,mode=1777"),  # noqa: S108 - inside
        *("--ulimit", "nproc=8192:8192", "--ulimit", "nofile=20000:20000", "--pids-limit", "16384"),
        *(
            "--network",
            network,
            "--ip",
            str(host.address),
            "--mac-address",
            mac_address(host.address),
            "--dns-search",
            ".",
            "--no-hosts",
        ),
        *("--volume", f"{home_volume(host.lab)}:/home"),
        *("--volume", f"{containerd_volume(host)}:/var/lib/containerd"),
        *("--volume", f"{public_key}:/var/lib/ops/.ssh/authorized_keys:ro"),
        *(image, "/sbin/init"),
    ]


def boot(hosts: Sequence[Host], image: str, network: str, public_key: Path) -> None:
    """Create and start hosts that do not exist yet, all at the same time."""

    def boot_one(host: Host) -> None:
        podman.run(*volume_command(host.lab, containerd_volume(host)))
        podman.run(*run_command(host, image, network, public_key))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(boot_one, hosts))


def revive(hosts: Sequence[Host], states: dict[str, str]) -> None:
    """Start stopped hosts, and continue paused ones."""
    paused = [host.container for host in hosts if states[host.name] == "paused"]
    stopped = [host.container for host in hosts if states[host.name] not in {"paused", "running"}]
    if paused:
        podman.run("unpause", *paused)
    if stopped:
        podman.run("start", *stopped)


def states(lab: str) -> dict[str, str]:
    """The state of every container of a lab by host name: running, exited, paused, created."""
    containers = podman.labelled(("ps", "--all"), lab)
    return {container["Labels"][HOST_LABEL]: container["State"] for container in containers}
