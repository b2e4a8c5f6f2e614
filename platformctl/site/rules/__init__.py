"""Rules over several values of an inventory at once; each module is one concern with one `check`."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake
from platformctl.site.rules import (
    artifacts,
    balance,
    cluster,
    devices,
    examples,
    groups,
    hosts,
    networks,
    node_classes,
    passed_on,
    required,
    runtimes,
    shares,
    slurm,
    users,
)
from platformctl.site.rules.facts import Facts

_RULES = (
    hosts, groups, cluster, networks, passed_on, users, slurm, devices, shares, node_classes, runtimes,
    balance, artifacts, required, examples,
)  # fmt: skip


def check_rules(facts: Facts) -> Iterator[Mistake]:
    """Mistakes by all rules."""
    for rule in _RULES:
        yield from rule.check(facts)
