"""The rule on missing variables: each role's required variables, for every host of the role."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts


def check(facts: Facts) -> Iterator[Mistake]:
    """One mistake for each missing variable, even if several roles and hosts need it."""
    lacking: dict[str, tuple[set[str], set[str]]] = {}
    for role in facts.roles:
        hosts = {host for group in role.groups for host in facts.members(group)}
        for variable in role.required():
            without = {host for host in hosts if variable not in facts.variables[host]}
            if without:
                needing, hosts_without = lacking.setdefault(variable, (set(), set()))
                needing.add(role.name)
                hosts_without |= without
    for variable, (needing, hosts_without) in sorted(lacking.items()):
        everywhere = len(hosts_without) == len(facts.effective.hosts)
        where = "group_vars/all" if everywhere else f"the variables of {_some(sorted(hosts_without))}"
        problem = f"{variable} is not set, and needed by {', '.join(sorted(needing))}"
        yield facts.inventory.mistake((), None, problem, f"set it in {where}")


def _some(hosts: list[str]) -> str:
    more = f" and {len(hosts) - 3} more hosts" if len(hosts) > 3 else ""
    return ", ".join(hosts[:3]) + more
