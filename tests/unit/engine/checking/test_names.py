"""What is said of a host's name service."""

from collections.abc import Mapping
from typing import Any

import pytest

from platformctl.engine.checking import names
from platformctl.engine.checking.preflight import Level
from tests.unit.engine.sites import make_fleet

GOOD = {
    "path": "/etc/resolv.conf",
    "there": True,
    "servers": ["192.0.2.53"],
    "search": ["site.example"],
    "silent": {},
    "localhost": ["127.0.0.1", "::1"],
    "hosts": {"n1": "127.0.1.1"},
}
ADDRESSES = {"n1": "192.0.2.11", "n2": "192.0.2.12", "n3": "n3.site.example"}


def judged(group: str = "kubernetes_node", variables: Mapping[str, Any] | None = None, **probe: Any) -> Any:
    host = make_fleet({"n1": (group,)}, variables).hosts["n1"]
    return [(found.check, found.level) for found in names.judge(host, {**GOOD, **probe}, ADDRESSES)]


def test_a_usual_host_is_fine() -> None:
    assert judged() == []


@pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.53", "::1"])
def test_a_name_server_on_the_host_itself_is_an_error_for_pods_alone(server: str) -> None:
    assert judged(servers=[server]) == [("dns", Level.ERROR)]
    assert judged("slurm_node", servers=[server]) == []


def test_the_remedy_for_such_a_server_is_the_kubelets_variable() -> None:
    host = make_fleet({"n1": ("kubernetes_node",)}).hosts["n1"]
    (found,) = names.judge(host, {**GOOD, "servers": ["127.0.0.1"]}, ADDRESSES)
    assert "kubernetes_kubelet_overrides: {resolvConf:" in found.remedy
    assert "127.0.0.1" in found.found


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ({"there": False, "servers": []}, [("dns", Level.ERROR)]),
        ({"servers": []}, [("dns", Level.WARNING)]),
        ({"servers": [f"192.0.2.{n}" for n in range(4)]}, [("dns", Level.WARNING)]),
        ({"search": [f"d{n}.example" for n in range(30)]}, [("dns", Level.WARNING)]),
        ({"silent": {"192.0.2.53": "no answer"}}, [("dns", Level.WARNING)]),
        ({"localhost": []}, [("names", Level.ERROR)]),
        ({"localhost": ["192.0.2.11"]}, [("names", Level.ERROR)]),
        ({"hosts": {"n1": "192.0.2.99"}}, [("names", Level.ERROR)]),
        ({"hosts": {"n2": "127.0.1.1"}}, [("names", Level.ERROR)]),
        ({"hosts": {"n2": "192.0.2.12", "n3": "192.0.2.77"}}, []),
    ],
)
def test_each_mistake_has_its_finding(probe: Any, expected: Any) -> None:
    assert judged(**probe) == expected


@pytest.mark.parametrize(
    ("overrides", "path"),
    [({"resolvConf": "/etc/own.conf"}, "/etc/own.conf"), ({"maxPods": 5}, ""), ("{{ x }}", ""), (None, "")],
)
def test_the_file_for_pods_is_the_one_that_the_inventory_names(overrides: Any, path: str) -> None:
    host = make_fleet({"n1": ()}, {"kubernetes_kubelet_overrides": overrides}).hosts["n1"]
    assert names.resolv_conf(host) == path
