"""Creates, finds and removes a lab."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import connection, devices, hosts, image, inventory, network, podman, ssh, state
from platformctl.lab.hosts import Host

DEFAULT_NAME = "lab"
"""The lab that uses the committed inventory in place."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "apt-cacher-ng": "apt-cacher-ng",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
}
_HELPERS = {"netavark": Path("/usr/lib/podman/netavark")}


@dataclass(frozen=True)
class Lab:
    """An existing lab. inventory: the one to install it with."""

    name: str
    inventory: Path
    slot: IPv4Network
    hosts: tuple[Host, ...]

    @property
    def state(self) -> Path:
        """The folder with its key and known_hosts."""
        return state.folder(self.name)

    def host(self, name: str) -> Host:
        """The host of this name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise PlatformError(
            f"lab {self.name} has no host {name}",
            where=str(self.inventory),
            next=f"its hosts are: {', '.join(host.name for host in self.hosts)}",
            code=ExitCode.INVALID,
        )

    def exec(
        self, host: str, argv: Sequence[str], data: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as root without ssh; a failure is in the result, not raised."""
        stdin = ["--interactive"] if data is not None else []
        return podman.run("exec", *stdin, self._own_container(host), *argv, check=False, data=data)

    def ssh_command(self, host: str, *remote: str) -> list[str]:
        """The ssh command that logs in to a host as its administrator."""
        return ssh.command(self.state, self.host(host).address, *remote)

    def console_command(self, host: str, text: str = "") -> list[str]:
        """The command that opens a root shell on a host without ssh, or runs a command line there."""
        shell = ["/bin/bash", "--login", *(["-c", text] if text else [])]
        terminal = [] if text else ["--tty"]
        return ["podman", "exec", "--interactive", *terminal, self._own_container(host), *shell]

    def _own_container(self, host: str) -> str:
        target = self.host(host)
        if target.shared:
            raise PlatformError(
                f"{host} is a simulated host, which can be reached only by ssh",
                where=str(self.inventory),
                next=f"platformctl lab shell {host} --name {self.name}",
                code=ExitCode.INVALID,
            )
        return target.container


@dataclass(frozen=True)
class Removed:
    """What `down` found and removed, in the user's words."""

    things: tuple[str, ...]


def up(
    name: str = DEFAULT_NAME,
    source: Path | None = None,
    light: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Lab:
    """Boot one host for each host of an inventory, and return when the administrator can log in to all.

    If the lab exists, missing hosts are created and stopped ones started. light: how many plain hosts to add.
    say: called with a message for each step that takes long.
    """
    check_name(name)
    check_machine()
    with state.lab_lock(name, say):
        # Imported here: ansible-vault takes longer to load than everything else, and other commands do not
        # need it.
        from platformctl.site import secrets

        lab_network, where, origin = _settle(name, (source or default_inventory()).resolve(), light)
        told = connection.IN_PLACE if where == origin else str(state.folder(name))
        remedy = f"undo these, or platformctl lab down --name {name}; then the same command again"
        connection.check(where, lab_network.slot, told, remedy)
        layout = inventory.read_layout(where)
        lab = Lab(name, where, lab_network.slot, hosts_of(name, layout))
        # From here on `find` and `down` know the lab, even if this process is killed.
        state.write(name, where, origin, lab_network.slot)
        secrets.ensure(where)
        _boot(lab, lab_network.name, say)
        devices.ensure(where, lab.hosts)
        return lab


def down(name: str = DEFAULT_NAME, say: Callable[[str], None] = lambda _: None) -> Removed:
    """Remove everything of a lab, also what a killed `up` left; with the last lab also what labs share."""
    check_name(name)
    check_machine()
    with state.lab_lock(name, say):
        removed = []
        containers = [container["Names"][0] for container in podman.labelled(("ps", "--all"), name)]
        if containers:
            podman.remove("rm", "--force", "--ignore", "--time", "0", *containers)
            removed.append(f"{len(containers)} containers")
        volumes = [volume["Name"] for volume in podman.labelled(("volume", "ls"), name)]
        for volume in volumes:
            podman.remove("volume", "rm", "--force", volume)
        if volumes:
            removed.append(f"{len(volumes)} volumes")
        with state.machine_lock():
            own_network = network.of(name)
            if own_network:
                podman.remove("network", "rm", "--force", own_network.name)
                removed.append("the network")
            removed += network.guard(network.every())
        if state.folder(name).exists():
            from platformctl.site import secrets  # late, as in `up`

            # The committed inventory stays unchanged; a copy is removed, with the key of its secrets.
            secrets.discard(state.folder(name) / "inventory")
            shutil.rmtree(state.folder(name))
            removed.append("its key and state")
        return Removed(tuple(removed))


def find(name: str = DEFAULT_NAME) -> Lab | None:
    """The lab with this name, if it exists."""
    record = state.read(name)
    if record is None:
        return None
    where = Path(record["inventory"])
    return Lab(
        name,
        where,
        IPv4Network(record["network"]),
        hosts_of(name, inventory.read_layout(where), record.get("shared", "")),
    )


def names() -> list[str]:
    """All labs of this user."""
    return sorted(path.parent.name for path in state.labs_folder().glob("*/lab.json"))


def _settle(name: str, source: Path, light: int) -> tuple[network.LabNetwork, Path, Path]:
    """Network, inventory and key of a lab; missing ones are created, the inventory's origin last."""
    record = state.read(name)
    if record and Path(record["source"]) != source:
        raise PlatformError(
            f"lab {name} was made from another inventory: {record['source']}",
            where=str(source),
            next=f"platformctl lab down --name {name}, or choose another --name",
            code=ExitCode.REFUSED,
        )
    layout = inventory.read_layout(source)
    in_place = _may_be_in_place(name, source, layout, light)
    with state.machine_lock():
        networks = network.every()
        made = next((candidate for candidate in networks if candidate.lab == name), None)
        if made is None:
            made = network.create(name, layout.slot if in_place else None, layout.inner_networks)
            networks.append(made)
        # Before the first host boots: nothing meant for a pod may leave the machine.
        network.guard(networks)
    folder = state.folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ssh.ensure_key(folder)
    if in_place and made.slot == layout.slot:
        return made, source, source
    copied = folder / "inventory"
    if not copied.exists():
        inventory.copy(source, copied, made.slot, folder)
    inventory.add_light_hosts(copied, light, made.slot)
    return made, copied, source


def _may_be_in_place(name: str, source: Path, layout: inventory.Layout, light: int) -> bool:
    """Whether the inventory is used without a copy: only for the default lab, whose folder it names."""
    checkout = (paths.data_dir() / "pyproject.toml").is_file()
    usual = Path.home() / ".local/state/platformctl/labs" / DEFAULT_NAME
    committed = source == default_inventory().resolve() and state.folder(name) == usual
    return checkout and committed and name == DEFAULT_NAME and layout.fits_slot and light == 0


def _boot(lab: Lab, network_name: str, say: Callable[[str], None]) -> None:
    states = hosts.states(lab.name)
    missing = [host for host in lab.hosts if host.name not in states]
    known = lab.state / "known_hosts"
    if missing:
        with state.machine_lock():
            made = image.ensure(say)
        say(f"booting {', '.join(host.name for host in missing)}")
        if hosts.home_volume(lab.name) not in {
            v["Name"] for v in podman.labelled(("volume", "ls"), lab.name)
        }:
            podman.run(*hosts.volume_command(lab.name, hosts.home_volume(lab.name)))
        hosts.boot(missing, made, network_name, lab.state / "id_ed25519.pub")
    hosts.revive([host for host in lab.hosts if host.name in states], states)
    complete = not missing and known.exists() and set(states.values()) == {"running"}
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(ssh.await_banner, lab.hosts))
        if complete:
            return
        keys = pool.map(lambda host: (host, ssh.host_key(host)), lab.hosts)
        known.write_text(ssh.known_hosts(dict(keys)))
        list(pool.map(lambda host: ssh.await_login(lab.state, host), lab.hosts))


def hosts_of(name: str, layout: inventory.Layout, shared: str = "") -> tuple[Host, ...]:
    """The hosts of a layout as hosts of a lab. shared: the container that all of them are in."""
    return tuple(Host(name, host, address, shared) for host, address in layout.hosts.items())


def default_inventory() -> Path:
    """The committed inventory of the lab."""
    return paths.data_dir() / "inventories" / "lab"


def check_name(name: str) -> None:
    """Refuse a name that is not valid for a lab."""
    if not _NAME.fullmatch(name):
        raise PlatformError(
            f"{name!r} is not a valid name for a lab",
            where="--name",
            next="use small letters, digits and dashes, and begin with a letter",
            code=ExitCode.INVALID,
        )


def check_machine() -> None:
    """Refuse a machine without the rights or the programs that a lab needs."""
    if os.geteuid() != 0:
        raise PlatformError(
            "a lab needs root: it makes networks, firewall rules and privileged containers",
            where=f"user id {os.geteuid()}",
            next="run the same command with sudo, or as root",
            code=ExitCode.REFUSED,
        )
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for program, package in _PROGRAMS.items() if not shutil.which(program, path=search)]
    missing += [package for package, path in _HELPERS.items() if not path.exists()]
    if missing:
        raise PlatformError(
            f"a lab needs Debian packages that are not installed: {', '.join(sorted(missing))}",
            where="this machine",
            next=f"apt-get install {' '.join(sorted(missing))}",
        )
