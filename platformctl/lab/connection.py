"""The variables of an inventory that decide how and where a host is reached, and a lab's values for them.

A lab made from a real site's inventory must never reach the site. If one variable were left, such as
`ansible_connection: local` or a jump host, Ansible would work as root on a host that is not of the lab. So
there is no list of harmful variables: the lab sets all of them, and `check` refuses an inventory with any
other.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from platformctl.errors import ExitCode, PlatformError
from platformctl.lab import ssh
from platformctl.site.effective import Effective
from platformctl.site.inventory import read_inventory

ADDRESS = "ansible_host"
STATE = "lab_state"
OTHER_ADDRESSES = ("base_address", "kubernetes_kubelet_address")
"""Further variables for a host's address. A lab's hosts have one address, the default of these variables."""

IN_PLACE = "{{ lookup('ansible.builtin.env', 'HOME') }}/.local/state/platformctl/labs/lab"
"""The value of STATE in the committed inventory."""

_PREFIX = "ansible_"
_ORDER_OF_GROUPS = "ansible_group_priority"


def concerns(name: str) -> bool:
    """Whether a variable of this name decides how or where a host is reached."""
    own = name.startswith(_PREFIX) and name != _ORDER_OF_GROUPS
    return own or name in (STATE, *OTHER_ADDRESSES)


def variables(state: str) -> dict[str, Any]:
    """The connection variables of all hosts of a lab. state: the lab's folder, or Jinja for it."""
    return {
        STATE: state,
        "ansible_connection": "ssh",
        "ansible_user": ssh.USER,
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_pipelining": True,
        "ansible_ssh_private_key_file": "{{ lab_state }}/id_ed25519",
        # Ansible passes these first, and ssh uses the first of two values: molecule would turn this check
        # off.
        "ansible_ssh_args": "-o StrictHostKeyChecking=yes -o ControlMaster=auto -o ControlPersist=300s",
        # The user's own ssh settings may have a jump host for every address.
        "ansible_ssh_common_args": "-F none -o IdentitiesOnly=yes "
        "-o UserKnownHostsFile={{ lab_state }}/known_hosts",
    }


def check(inventory: Path, slot: IPv4Network, state: str, remedy: str) -> None:
    """Refuse an inventory that would reach anything other than the lab in this slot.

    remedy: the next command in the PlatformError, which names each host, variable and place.
    """
    read = read_inventory(inventory)
    effective = Effective(read)
    problems = [str(mistake) for mistake in read.mistakes]
    for host in effective.hosts:
        settings = {name: value for name, value in effective.variables(host).items() if concerns(name)}
        for name in _differing(settings, slot, state):
            place = "is not set"
            if name in settings:
                place = effective.origin(host, name).mistake((name,), None, "", "").place
            problems.append(f"{host}: {name} is not the lab's ({place})")
    if problems:
        raise PlatformError(
            "this inventory may reach other machines than the lab's hosts; nothing was changed on any",
            where=str(inventory),
            next=remedy,
            code=ExitCode.REFUSED,
            details=problems,
        )


def _differing(settings: Mapping[str, Any], slot: IPv4Network, state: str) -> list[str]:
    """Names of one host's connection variables that differ from the lab's values."""
    absent = object()
    expected = variables(state)
    names = {*expected, *settings} - {ADDRESS}
    wrong = {name for name in names if settings.get(name, absent) != expected.get(name, absent)}
    return sorted(wrong if _within(settings.get(ADDRESS), slot) else wrong | {ADDRESS})


def _within(address: Any, slot: IPv4Network) -> bool:
    try:
        return IPv4Address(str(address)) in slot
    except ValueError:
        return False
