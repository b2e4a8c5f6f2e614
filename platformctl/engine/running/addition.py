"""Adds nodes to an installed site without work on its other nodes.

A new node of Slurm needs the controllers, whose slurm.conf lists all nodes; nothing else of the site does.
What is left for the other hosts, such as its name in their /etc/hosts, is done by the next `install`.
"""

from collections.abc import Sequence

from platformctl.engine.fleet import LOCALHOST, Fleet
from platformctl.engine.stages import Stage, StageRunner
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.devices import NODE_GROUPS

# The group, and the stage that is named like it.
_CONTROLLERS = "slurm_controller"


def stages(fleet: Fleet, names: Sequence[str], table: Sequence[Stage]) -> tuple[str, ...]:
    """The stages that new nodes need: their own, the controllers', and what this machine does for them."""
    return tuple(
        stage.name
        for stage in table
        if stage.name == _CONTROLLERS
        or (LOCALHOST in stage.targets(fleet) and stage.runner is not StageRunner.VERIFY)
        or set(names).intersection(stage.targets(fleet))
    )


def hosts(fleet: Fleet, names: Sequence[str]) -> tuple[str, ...]:
    """The hosts to install, for these new nodes. PlatformError: one of them is no node of the inventory."""
    unknown = [name for name in names if name not in fleet.hosts]
    if unknown:
        raise PlatformError(
            f"the inventory has no host {', '.join(unknown)}",
            where=str(fleet.inventory),
            next="put it there, with its ansible_host and its groups (platformctl docs hosts); then the same "
            "command again",
            code=ExitCode.INVALID,
        )
    groups = NODE_GROUPS.values()
    if others := [name for name in names if not fleet.hosts[name].groups.intersection(groups)]:
        raise PlatformError(
            f"{', '.join(others)} is in no group of nodes",
            where=str(fleet.inventory),
            next=f"put it into {' or '.join(groups)}; or, for a host of another kind: "
            f"platformctl install -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
    of_slurm = any(NODE_GROUPS["slurm"] in fleet.hosts[name].groups for name in names)
    chosen = {*names, *(fleet.members(_CONTROLLERS) if of_slurm else ())}
    return tuple(name for name in fleet.hosts if name in chosen)
