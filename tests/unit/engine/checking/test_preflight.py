from dataclasses import replace
from pathlib import Path

import pytest

from platformctl.engine.checking.findings import Level, Subject
from platformctl.engine.checking.preflight import GIB, judge, peers_of
from tests.ansible_files import load

PROBE = {
    "os": {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"},
    "arch": "x86_64",
    "kernel": "6.12",
    "python": "3.13.5",
    "uid": 0,
    "clock_offset": 0.2,
    "disk_free": {"/": 50 * GIB},
    "disk_size": {"/": 100 * GIB},
    "memory": 8 * GIB,
    "swap": 0,
    "listening": [22],
    "hostname": "n1",
    "machine_id": "a1",
    "addresses": ["192.0.2.11"],
    "cgroup": "v2",
    "site": "",
    "reach": {},
}


def subject(name: str = "n1", groups: tuple[str, ...] = ("slurm_node",), **probe: object) -> Subject:
    found = {**PROBE, "hostname": name, "machine_id": f"id of {name}", **probe}
    return Subject(name, "192.0.2.11", frozenset(groups), "lab", found)


def bad(*subjects: Subject) -> set[tuple[str, str, Level]]:
    return {(f.host, f.check, f.level) for f in judge(subjects) if f.level is not Level.OK}


def test_a_good_host_passes() -> None:
    assert bad(subject()) == set()


def test_other_systems_are_refused_with_their_name() -> None:
    fedora = {"id": "fedora", "version": "43", "name": "Fedora Linux 43"}
    findings = judge([subject(os=fedora)])
    assert (findings[0].level, findings[0].found) == (Level.ERROR, "Fedora Linux 43")
    assert "Debian 13" in findings[0].remedy
    ubuntu = {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04"}
    assert "tested" in judge([subject(os=ubuntu)])[0].remedy


def test_space_clock_ports_and_swap() -> None:
    assert bad(subject(disk_free={"/": 2 * GIB})) == {("n1", "disk", Level.ERROR)}
    assert bad(subject(disk_free={"/": 5 * GIB})) == {("n1", "disk", Level.WARNING)}
    large = {"disk_free": {"/": 50 * GIB}, "disk_size": {"/": 500 * GIB}}
    assert bad(subject(**large)) == set()
    assert bad(subject(groups=("kubernetes_node",), **large)) == {("n1", "disk", Level.WARNING)}
    assert bad(subject(clock_offset=-120.0)) == {("n1", "clock", Level.ERROR)}
    assert bad(subject(clock_offset=9.0)) == {("n1", "clock", Level.WARNING)}
    assert bad(subject(listening=[6818])) == {("n1", "port", Level.ERROR)}
    ours = {"begun": ["slurm_node"], "findings": []}
    assert bad(subject(listening=[6818], site="lab", existing=ours)) == set()
    assert bad(subject(listening=[6818], site="lab")) == {("n1", "port", Level.ERROR)}
    assert bad(subject(swap=GIB)) == set()
    assert bad(subject(groups=("kubernetes_control_plane",), memory=GIB)) == {("n1", "memory", Level.ERROR)}
    assert bad(subject(cgroup="hybrid")) == {("n1", "cgroup", Level.WARNING)}


@pytest.mark.parametrize("group", ["kubernetes_control_plane", "kubernetes_node"])
def test_a_kubelet_runs_with_swap_only_where_the_site_lets_it(group: str) -> None:
    def judged(overrides: object) -> set[tuple[str, str, Level]]:
        variables = {"kubernetes_kubelet_overrides": overrides}
        return bad(replace(subject(groups=(group,), swap=GIB), variables=variables))

    assert bad(subject(groups=(group,), swap=GIB)) == {("n1", "swap", Level.ERROR)}
    assert judged({"maxPods": 50}) == {("n1", "swap", Level.ERROR)}
    assert judged({"failSwapOn": True}) == {("n1", "swap", Level.ERROR)}
    assert judged({"failSwapOn": False}) == set()
    # Only Ansible knows what Jinja comes to.
    assert judged({"failSwapOn": "{{ x_swap }}"}) == {("n1", "swap", Level.WARNING)}
    assert judged("{{ x_overrides }}") == {("n1", "swap", Level.WARNING)}


@pytest.mark.parametrize(
    ("group", "variable", "default"),
    [
        ("registry", "registry_port", 5000),
        ("slurm_accounting", "slurm_accounting_port", 6819),
        ("slurm_controller", "slurm_controller_port", 6817),
        ("slurm_node", "slurm_node_port", 6818),
        ("slurm_rest", "slurm_rest_port", 6820),
    ],
)
def test_the_ports_are_those_of_the_site(group: str, variable: str, default: int) -> None:
    usual = subject(groups=(group,), listening=[22, default])
    finding = next(found for found in judge([usual]) if found.check == "port")
    assert f"TCP port {default} " in finding.found
    assert variable in finding.remedy
    moved = replace(usual, variables={variable: 5001})
    assert bad(moved) == set()
    taken = replace(moved, probe={**usual.probe, "listening": [5001]})
    assert bad(taken) == {("n1", "port", Level.ERROR)}
    assert bad(replace(usual, variables={variable: "{{ x_port }}"})) == set()


def test_each_file_system_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = load("roles/preflight/library/host_probe.py")
    inner = tmp_path / "inner"
    inner.mkdir()
    other = "/proc"  # a file system of its own wherever there is Linux
    monkeypatch.setattr(probe, "_FILLING", (str(tmp_path), str(inner), other))
    found = probe.probe({}, 0)
    assert set(found["disk_free"]) == set(found["disk_size"]) == {str(tmp_path), other}


def test_a_slow_answer_is_no_wrong_clock() -> None:
    def judged(offset: float, window: float) -> set[tuple[str, str, Level]]:
        return bad(replace(subject(clock_offset=offset), clock_window=window))

    assert judged(40.0, 38.0) == set()
    assert judged(40.0, 8.0) == {("n1", "clock", Level.ERROR)}
    assert judged(40.0, 20.0) == {("n1", "clock", Level.WARNING)}
    assert judged(-40.0, 38.0) == {("n1", "clock", Level.ERROR)}


def test_a_host_of_another_site_is_refused() -> None:
    assert bad(subject(site="other")) == {("n1", "site", Level.ERROR)}


def test_duplicates_are_named_on_both_hosts() -> None:
    one, two = subject("n1"), subject("n2")
    same = replace(two, probe={**two.probe, "machine_id": one.probe["machine_id"]})
    assert bad(one, same) == {("n1", "machine id", Level.WARNING), ("n2", "machine id", Level.WARNING)}
    twin = replace(two, probe={**two.probe, "hostname": "n1"})
    assert ("n1", "hostname", Level.ERROR) in bad(one, twin)


def test_reachability_is_bounded_and_covers_every_host() -> None:
    addresses = {f"n{number}": f"192.0.2.{number}" for number in range(100)}
    asked = {name: peers_of(name, addresses) for name in addresses}
    assert {len(peers) for peers in asked.values()} == {8}
    assert {peer for peers in asked.values() for peer in peers} == set(addresses)
    assert peers_of("only", {"only": "192.0.2.1"}) == {}
    assert bad(subject(reach={"n2": "No route to host", "n3": ""})) == {("n1", "reach", Level.WARNING)}


def test_a_proxy_of_the_host_is_named_until_the_site_has_its_own() -> None:
    found = subject(proxy="http://proxy.example:3128")
    (finding,) = [finding for finding in judge([found]) if finding.check == "proxy"]
    assert (finding.level, "site_http_proxy: http://proxy.example:3128" in finding.remedy) == (
        Level.WARNING,
        True,
    )
    own = replace(found, variables={"site_http_proxy": "http://proxy.example:3128"})
    assert "proxy" not in {finding.check for finding in judge([own])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("PATH=/bin\n# http_proxy=http://no:1\n", ""),
        ("HTTPS_PROXY='http://me:secret@proxy:3128'\n", "http://proxy:3128"),
        ("export http_proxy=http://proxy:3128\n", "http://proxy:3128"),
    ],
)
def test_the_probe_sees_the_proxy_of_a_host(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = load("roles/preflight/library/host_probe.py")
    monkeypatch.setattr(probe, "_read", lambda _: text)
    assert probe._proxy() == expected
