"""Takes users' access away, or gives it back, in one short run that does nothing else.

The names are in the inventory, so that every later installation keeps them out as well. A disabled user has
no right in Kubernetes' API, no valid account on hosts, and may submit no job to Slurm.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformctl.engine import loading
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.plan import Plan
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import accounts, disabled

_PART = f"variable:{disabled.VARIABLE}"
_MOST_NAMED = 5


def names(fleet: Fleet) -> tuple[str, ...]:
    """The site's users in the order of the inventory."""
    return accounts.names(loading.evaluated(fleet).variables)


def changed(fleet: Fleet, wanted: Sequence[str], enable: bool) -> tuple[str, ...]:
    """Who is disabled after these are disabled or enabled. PlatformError (INVALID): an unknown name."""
    known = names(fleet)
    before = [str(name) for name in fleet.variables.get(disabled.VARIABLE) or []]
    if unknown := [name for name in wanted if name not in known and not (enable and name in before)]:
        raise PlatformError(
            f"{', '.join(unknown)} is no user of this site",
            where=f"{fleet.inventory}: users_accounts",
            next=f"platformctl user list -i {fleet.inventory}",
            code=ExitCode.INVALID,
        )
    if enable:
        return tuple(name for name in before if name not in wanted)
    return tuple(dict.fromkeys([*before, *wanted]))


def stages(table: Sequence[Stage]) -> tuple[str, ...]:
    """The stages that know the site's users."""
    return tuple(stage.name for stage in table if stage.accounts)


@contextmanager
def written(inventory: Path, wanted: Collection[str], before: Collection[str]) -> Iterator[None]:
    """Write the names to the inventory, and write what was there before again if what follows is refused."""
    disabled.write(inventory, wanted)
    try:
        yield
    except BaseException:
        disabled.write(inventory, before)
        raise


def refuse_others(fleet: Fleet, planned: Plan) -> None:
    """Raise PlatformError, code REFUSED, if the run would bring other changes of the inventory as well.

    Hosts that do not answer are no reason to let these users in everywhere else, and what went wrong on hosts
    since the last run is mended by the same run.
    """
    others = [
        f"{step.stage} on {step.host}: {'; '.join(step.reasons)}"
        for step in planned.steps
        if step.host not in planned.down and (step.fresh or set(step.changed) - {_PART})
    ]
    if not others:
        return
    more = [f"and {len(others) - _MOST_NAMED} more"] if len(others) > _MOST_NAMED else []
    raise PlatformError(
        "other changes wait in the inventory, so this would not be all that happens; nothing was done",
        where=str(fleet.inventory),
        next=f"platformctl plan -i {fleet.inventory}; to do all of it, change {disabled.VARIABLE} by hand, "
        f"then: platformctl install -i {fleet.inventory}",
        code=ExitCode.REFUSED,
        details=[*others[:_MOST_NAMED], *more],
    )
