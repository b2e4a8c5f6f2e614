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
    """The volume that all hosts of a lab have at /home: the site's shared file system."""
    return f"{PREFIX}-{lab}-home"


def containerd_volume(host: Host) -> str:
    """A host's own volume for images: overlay file systems do not stack on the container's own."""
    return f"{host.container}-containerd"


def volume_command(lab: str, name: str) -> list[str]:
    """Arguments of podman that make a volume which belongs to a lab."""
    return ["volume", "create", "--label", f"{podman.LAB_LABEL}={lab}", name]


def mac_address(address: IPv4Address) -> str:
    """The link address that goes with an address, the same at every boot.

    With a new one at each start the neighbours would send to the old one until they forget it: half a minute.
    """
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x70, *address.packed))


def run_command(host: Host, image: str, network: str, public_key: Path) -> list[str]:
    """Arguments of podman that boot a host.

    --systemd=false with the mounts given here, instead of podman's own systemd mode: that one mounts the
    machine's hierarchy into every host, and a host that stops takes the others' control groups with it.
    --dns-search . keeps podman's search domain out of resolv.conf, which breaks look-ups in pods.
    The machine's limits cannot be raised inside, so they are stated here.
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
    """Start hosts that are stopped, and let those go on that are paused."""
    paused = [host.container for host in hosts if states[host.name] == "paused"]
    stopped = [host.container for host in hosts if states[host.name] not in {"paused", "running"}]
    if paused:
        podman.run("unpause", *paused)
    if stopped:
        podman.run("start", *stopped)


def states(lab: str) -> dict[str, str]:
    """The state of every container of a lab by host name: running, exited, paused, created."""
    found = podman.labelled(("ps", "--all"), lab)
    return {container["Labels"][HOST_LABEL]: container["State"] for container in found}
