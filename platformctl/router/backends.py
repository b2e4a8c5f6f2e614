"""The table of the router's back ends: the function that builds each one."""

from collections.abc import Mapping

from platformctl.jobs.model import Target
from platformctl.router.assembly import Assembled, Builder, Surroundings
from platformctl.router.kubernetes.build import build as kubernetes
from platformctl.router.slurm.build import build as slurm

BUILDERS: Mapping[Target, Builder] = {Target.KUBERNETES: kubernetes, Target.SLURM: slurm}


async def assemble(around: Surroundings) -> dict[Target, Assembled]:
    """The back ends that the site has."""
    built = {target: await build(around) for target, build in BUILDERS.items()}
    return {target: assembled for target, assembled in built.items() if assembled is not None}
