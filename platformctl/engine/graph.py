"""The stage graph: order, cycles, and what lies before or after a stage."""

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode, PlatformError


def ordered(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages in an order in which every stage comes after what it needs.

    Stages that could come at the same place keep the order of the table. Raises ValueError for a need that
    is not in the table, or a cycle: both are defects of the table.
    """
    table = {stage.name: stage for stage in stages}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for stage in table.values():
        for need in stage.needs:
            if need.stage not in table:
                raise ValueError(f"stage {stage.name} needs {need.stage}, which does not exist")
        sorter.add(stage.name, *(need.stage for need in stage.needs))
    position = {name: index for index, name in enumerate(table)}
    result: list[Stage] = []
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"stages need each other in a circle: {' -> '.join(error.args[1])}") from error
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        result.extend(table[name] for name in ready)
        sorter.done(*ready)
    return tuple(result)


def select(stages: Sequence[Stage], names: Sequence[str]) -> tuple[Stage, ...]:
    """The named stages in graph order; all of them when no name is given."""
    unknown = sorted(set(names) - {stage.name for stage in stages})
    if unknown:
        raise PlatformError(
            f"there is no stage {', '.join(unknown)}",
            next=f"choose from: {', '.join(stage.name for stage in stages)}",
            code=ExitCode.INVALID,
        )
    return tuple(stage for stage in stages if not names or stage.name in names)
