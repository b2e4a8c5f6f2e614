"""A fleet: up to thousands of simulated hosts in one container, to measure the engine on large sites.

They answer ssh and Ansible, each with its own name, identity and files. They have no systemd and share one
network stack, so no service is installed on them. fleet_init.py, the container's first process, makes them.
"""

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from ipaddress import IPv4Address
from pathlib import Path

from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import addresses, hosts, image, inventory, network, podman, ssh, state
from platformctl.lab.hosts import Host
from platformctl.lab.lifecycle import Lab, check_machine, check_name, default_inventory, hosts_of

DEFAULT_FLEET = "fleet"
MOST = 4000

_CONTAINER = "all"
_SETTINGS = "/etc/fleet"
_LAYERS = "12g"


def fleet(name: str, size: int, say: Callable[[str], None] = lambda _: None) -> Lab:
    """Boot a fleet of this many hosts, and return when the administrator can log in.

    If the fleet exists but is stopped, it is started again; its hosts have then lost all their files.
    """
    check_name(name)
    check_machine()
    with state.lab_lock(name, say):
        from platformctl.site import secrets  # late, as in `up`

        source = f"a fleet of {size} hosts"
        _refuse_other(name, source)
        made = _network(name, size)
        assert made.routed
        folder = state.folder(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ssh.ensure_key(folder)
        where = folder / "inventory"
        if not where.exists():
            inventory.copy(default_inventory(), where, made.slot, folder)
        inventory.write_fleet(where, made.routed, size)
        lab = Lab(name, where, made.slot, hosts_of(name, inventory.read_layout(where), _CONTAINER))
        state.write(name, where, source, made.slot, _CONTAINER)
        secrets.ensure(where)
        _boot(lab, made, say)
        return lab


def run_command(host: Host, reference: str, made: network.LabNetwork, settings: Path) -> list[str]:
    """Arguments of podman that boot the container of all hosts."""
    program = files("platformctl.lab").joinpath("fleet_init.py")
    return [
        *("--runtime", "runc", "run", "--detach", "--privileged", "--systemd=false", "--cgroupns=private"),
        *("--name", host.container, "--hostname", host.container, "--pids-limit=-1"),
        *("--label", f"{podman.LAB_LABEL}={host.lab}", "--label", f"{hosts.HOST_LABEL}={host.shared}"),
        *("--ulimit", "nproc=16384:16384", "--ulimit", "nofile=20000:20000"),
        *("--network", made.name, "--ip", str(_own_address(made)), "--dns-search", ".", "--no-hosts"),
        *("--tmpfs", f"/fleet:size={_LAYERS},mode=755"),
        *("--volume", f"{settings}:{_SETTINGS}:ro", "--volume", f"{program}:{_SETTINGS}.py:ro"),
        *(reference, "/usr/bin/python3", "-u", f"{_SETTINGS}.py", _SETTINGS),
    ]


def _refuse_other(name: str, source: str) -> None:
    record = state.read(name)
    if record and record["source"] != source:
        raise PlatformError(
            f"lab {name} was made from something else: {record['source']}",
            where="--name",
            next=f"platformctl lab down --name {name}, or choose another --name",
            code=ExitCode.REFUSED,
        )


def _network(name: str, size: int) -> network.LabNetwork:
    with state.machine_lock():
        networks = network.every()
        made = next((candidate for candidate in networks if candidate.lab == name), None)
        if made is None:
            made = network.create(name, None, (), routed_hosts=size)
            networks.append(made)
        network.guard(networks)
    return made


def _boot(lab: Lab, made: network.LabNetwork, say: Callable[[str], None]) -> None:
    first, last = lab.hosts[0], lab.hosts[-1]
    container_state = hosts.states(lab.name).get(_CONTAINER)
    if container_state is None:
        with state.machine_lock():
            reference = image.ensure(say)
        settings = lab.state / "settings"
        settings.mkdir(exist_ok=True)
        names = {str(host.address): host.name for host in lab.hosts}
        (settings / "fleet.json").write_text(json.dumps({"network": str(made.routed), "hosts": names}))
        (settings / "authorized_keys").write_text((lab.state / "id_ed25519.pub").read_text())
        podman.run(*run_command(first, reference, made, settings))
    elif container_state != "running":
        podman.run("start", first.container)
    route = ["ip", "route", "replace", str(made.routed), "via", str(_own_address(made))]
    subprocess.run(route, check=True, capture_output=True)
    ssh.await_banner(first)
    key = ssh.host_key(first)
    (lab.state / "known_hosts").write_text(ssh.known_hosts(dict.fromkeys(lab.hosts, key)))
    for host in (first, last):
        ssh.await_login(lab.state, host)


def _own_address(made: network.LabNetwork) -> IPv4Address:
    return made.slot[addresses.FIRST_HOST]
