from collections.abc import Sequence

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from platformctl.engine import limit
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet(
    {
        "ctl1": ("control", "munge"),
        "n1": ("nodes", "munge"),
        "n2": ("nodes",),
        "b1": ("nodes", "big", "munge"),
    }
)


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> InventoryManager:
    """The same hosts and groups, as Ansible has them."""
    path = tmp_path_factory.mktemp("inventory") / "hosts.ini"
    groups = "".join(
        f"[{name}]\n" + "\n".join(hosts) + "\n"
        for name, hosts in sorted(FLEET.groups.items())
        if name != "all"
    )
    path.write_text("\n".join(FLEET.hosts) + "\n" + groups)
    return InventoryManager(loader=DataLoader(), sources=[str(path)])


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("all", "ctl1 n1 n2 b1"),
        ("*", "ctl1 n1 n2 b1"),
        ("n2,ctl1", "ctl1 n2"),
        ("n2:ctl1", "ctl1 n2"),
        ("!b1", "ctl1 n1 n2"),
        ("nodes:!b1", "n1 n2"),
        ("nodes,!b1", "n1 n2"),
        ("!b1,nodes", "n1 n2"),
        ("all:!nodes", "ctl1"),
        ("nodes:&munge", "n1 b1"),
        ("nodes:&munge:!big", "n1"),
        ("&munge", "ctl1 n1 b1"),
        ("n*", "n1 n2 b1"),
        ("n?", "n1 n2"),
        ("!n?", "ctl1 b1"),
        ("~(n|b)1", "n1 b1"),
        ("!~n[0-9]+$", "ctl1 b1"),
        ("nodes[0]", "n1"),
        ("nodes[-1]", "b1"),
        ("nodes[1:2]", "n2 b1"),
        ("nodes[1:]", "n2 b1"),
        ("nodes[1:2]:!b1", "n2"),
    ],
)
def test_patterns_mean_what_ansible_says(ansible: InventoryManager, given: str, hosts: str) -> None:
    assert limit.hosts_of(FLEET, [given]) == hosts.split()
    if given:
        assert {host.name for host in ansible.get_hosts(given)} == set(hosts.split())


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ((), "ctl1 n1 n2 b1"),
        (("n1", "b1"), "n1 b1"),
        (("nodes", "!n1"), "n2 b1"),
        (("~n[0-9]{1,2}$",), "n1 n2"),
    ],
)
def test_several_options_are_one_limit(given: Sequence[str], hosts: str) -> None:
    assert limit.hosts_of(FLEET, given) == hosts.split()


@pytest.mark.parametrize("given", ["n7", "!n7", "nodes:!n7", "nodes:&n7", "n1,n7", "n7[0]"])
def test_an_unknown_name_is_refused_with_those_that_are_near(given: str) -> None:
    with pytest.raises(PlatformError, match="no host or group n7") as caught:
        limit.hosts_of(FLEET, [given])
    assert caught.value.code is ExitCode.INVALID
    assert caught.value.next.startswith("did you mean n")


def test_all_unknown_names_are_named_and_a_large_site_is_not_listed() -> None:
    large = make_fleet({f"host{number}": ("nodes",) for number in range(100)})
    with pytest.raises(PlatformError, match="xx, yy") as caught:
        limit.hosts_of(large, ["xx", "!yy,host1"])
    assert caught.value.next.endswith("host11 and 89 more")


@pytest.mark.parametrize("given", ["nodes:!nodes", "n1:&ctl1", "x*", "~(", "nodes[7]"])
def test_a_limit_that_leaves_no_host_is_refused(given: str) -> None:
    with pytest.raises(PlatformError) as caught:
        limit.hosts_of(FLEET, [given])
    assert caught.value.code is ExitCode.INVALID


@pytest.mark.parametrize("given", [[""], [" "], [",", ""]])
def test_an_empty_limit_is_not_the_whole_site(given: list[str]) -> None:
    with pytest.raises(PlatformError, match="--limit is empty") as caught:
        limit.hosts_of(FLEET, given)
    assert caught.value.code is ExitCode.INVALID


def test_without_a_limit_all_hosts_are_meant() -> None:
    assert limit.hosts_of(FLEET, []) == ["ctl1", "n1", "n2", "b1"]
