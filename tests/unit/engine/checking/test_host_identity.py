"""Who a host is: its name, addresses and size against the inventory."""

from dataclasses import replace
from typing import Any

import pytest

from platformctl.engine.checking.preflight import GIB, Finding, Level, judge
from tests.unit.engine.checking.test_preflight import bad, subject


@pytest.mark.parametrize(
    ("hostname", "installed_as", "groups", "level"),
    [
        ("n1", "", ("slurm_node",), None),
        ("n1.example.org", "", ("slurm_node",), None),
        ("N1", "", ("kubernetes_node",), None),
        ("other", "", ("slurm_node",), Level.ERROR),  # perhaps it is another machine
        ("other", "n1", ("slurm_node",), Level.WARNING),
        ("N1", "n1", ("slurm_controller",), Level.ERROR),  # slurmctld compares letter by letter
        ("n1.example.org", "n1", ("slurm_controller",), None),
    ],
)
def test_the_name_that_a_host_calls_itself(
    hostname: str, installed_as: str, groups: tuple[str, ...], level: Level | None
) -> None:
    found = bad(subject(groups=groups, hostname=hostname, installed_as=installed_as, memory=8 * GIB))
    assert found == ({("n1", "hostname", level)} if level else set())


def test_a_host_that_was_installed_under_another_name_is_refused() -> None:
    (finding,) = worse([subject(installed_as="old1", site="lab")])
    assert (finding.check, finding.level, finding.found) == ("identity", Level.ERROR, "was installed as old1")


@pytest.mark.parametrize(
    ("groups", "variables", "level", "named"),
    [
        (("slurm_node",), {}, None, ""),
        (("slurm_node",), {"ansible_host": "198.51.100.7"}, Level.WARNING, "198.51.100.7 (ansible_host)"),
        (("kubernetes_node",), {"ansible_host": "198.51.100.7"}, Level.ERROR, "198.51.100.7 (ansible_host)"),
        (("kubernetes_node",), {"ansible_host": "198.51.100.7", "base_address": "192.0.2.11"}, None, ""),
        (("kubernetes_node",), {"base_address": "192.0.2.99"}, Level.ERROR, "192.0.2.99 (base_address)"),
        (("kubernetes_node",), {"base_address": "{{ x }}"}, None, ""),
    ],
)
def test_the_address_that_other_hosts_use_must_be_its_own(
    groups: tuple[str, ...], variables: dict[str, Any], level: Level | None, named: str
) -> None:
    own = ["192.0.2.11", "10.0.0.1", "2001:db8::1"]
    found = worse([replace(subject(groups=groups, addresses=own), variables=variables)])
    assert [(item.check, item.level) for item in found] == ([("address", level)] if level else [])
    assert all(named in item.found for item in found)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"slurm_node_memory_mib": 8192, "slurm_node_cpus": 4}, ""),
        ({"slurm_node_memory_mib": 8193}, "has 8192 MiB of memory, and slurm_node_memory_mib is 8193"),
        ({"slurm_node_cpus": 8}, "has 4 CPUs, and slurm_node_cpus is 8"),
        ({"slurm_node_memory_mib": 9999, "slurm_node_config_overrides": True}, ""),
    ],
)
def test_a_node_must_have_what_the_inventory_says(variables: dict[str, Any], named: str) -> None:
    found = worse([replace(subject(cpus=4), variables=variables)])
    assert [(item.check, item.found) for item in found] == ([("size", named)] if named else [])


def worse(subjects: list[Any]) -> list[Finding]:
    return [finding for finding in judge(subjects) if finding.level is not Level.OK]
