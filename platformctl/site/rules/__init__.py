"""Rules over several values of an inventory at once; each module is one concern with one `check`."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake
from platformctl.site.rules import (
    artifacts,
    cluster,
    examples,
    groups,
    hosts,
    networks,
    required,
    slurm,
    users,
)
from platformctl.site.rules.facts import Facts

_RULES = (hosts, groups, cluster, networks, users, slurm, artifacts, required, examples)


def check_rules(facts: Facts) -> Iterator[Mistake]:
    """Mistakes by all rules."""
    for rule in _RULES:
        yield from rule.check(facts)
