"""Rules on nodes that move by themselves."""

from collections.abc import Iterator

from platformctl.site import devices
from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts
from platformctl.site.values import templated

_NAME = "node_balance"
# Fields that make no sense as 0.
_POSITIVE = ("at_once",)


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of node_balance: where it is set, its numbers, and that there is a node to move."""
    setting = facts.shared(_NAME)
    for host in facts.effective.hosts:
        if _NAME in facts.variables[host] and (
            not setting or facts.effective.origin(host, _NAME) != setting[0]
        ):
            problem = f"{host} has a {_NAME} of its own, but nodes of all hosts are balanced together"
            yield facts.variable_mistake(host, _NAME, problem, "set it once, for all hosts")
    if not setting or not isinstance(setting[1], dict) or templated(setting[1]):
        return
    source, given = setting
    for key, value in given.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < (key in _POSITIVE):
            yield source.mistake((_NAME, key), value, "it is too small", f"at least {int(key in _POSITIVE)}")
    if given.get("enabled") is True and not any(_moves(facts, host) for host in facts.effective.hosts):
        problem = "no host can move"
        remedy = "put some into kubernetes_node and slurm_node, with node_owner slurm or kubernetes"
        yield source.mistake((_NAME, "enabled"), True, problem, remedy)


def _moves(facts: Facts, host: str) -> bool:
    return devices.moves(devices.on_host(facts.variables[host], facts.effective.groups[host]))
