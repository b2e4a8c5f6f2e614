"""The table of releases: whatever the charts stage reads of a site is part of its digest.

`plan` has nothing to do where the digest is the same. A variable that is read, and not named in the tables,
could change in the inventory and never reach the cluster.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl.artifacts import catalogue
from platformctl.artifacts.charts import find_charts
from platformctl.engine.cluster import charts
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.engine.releases import RELEASES, ChartRelease
from platformctl.engine.stages import STAGES, StageRunner

(STAGE,) = (stage for stage in STAGES if stage.runner is StageRunner.CHARTS)
# Which store the artefacts come from does not matter: their own digests are compared.
NOT_COMPARED = {"artifacts_source"}

SITE: dict[str, Any] = {
    "site_domain": "lab.example",
    "users_groups": [{"name": "physics", "gid": 20001}],
    "users_accounts": [{"name": "alice", "uid": 10001, "groups": ["physics"], "slurm_account": "physics"}],
    "shared_home_path": "/srv/home",
    "slurm_partitions": [{"name": "main", "default": True, "allow_groups": ["physics"]}],
    "secret_slurm_jwt_key": "c2VjcmV0",
    "secret_site_ca_certificate": "PEM",
}
ELSEWHERE = {
    "kubernetes_provider": "existing",
    "kubernetes_kubeconfig": "kubeconfig",
    "kubernetes_context": "here",
    "kubernetes_image_registry": "registry.example/lab",
    "slurm_rest_url": "https://slurm.example",
    "slurm_rest_certificate_authority": "PEM",
}
KUBECONFIG = """
current-context: here
clusters: [{name: c, cluster: {server: "https://api.example"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
"""
ALL_GROUPS = {
    "first": ("kubernetes_control_plane",),
    "rest1": ("slurm_rest",),
    "worker1": ("kubernetes_node",),
}
SITES = {
    "both schedulers": (ALL_GROUPS, SITE),
    "nothing set": ({"first": ("kubernetes_control_plane",)}, {}),
    "Kubernetes hosts without the home": (ALL_GROUPS, {**SITE, "shared_home_kubernetes": False}),
    "a cluster and a Slurm of others": ({}, {**SITE, **ELSEWHERE}),
    "a cluster of others": (
        {},
        {**SITE, "kubernetes_provider": "existing", "kubernetes_kubeconfig": "kubeconfig"},
    ),
}


class Watched(Mapping[str, Any]):
    """A mapping that tells which keys somebody looked up, whether they were there or not."""

    def __init__(self, content: Mapping[str, Any], note: Callable[[str], None]) -> None:
        self._content, self._note = content, note

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


class WatchedFleet(Fleet):
    """A fleet that knows the site by name as well, which is a variable."""

    def __getattribute__(self, name: str) -> Any:
        if name == "site":
            super().__getattribute__("shared")["site_name"]
        return super().__getattribute__(name)


class Reading:
    """What was read of a site: its variables, those of hosts by the group of the host, groups, artefacts."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.of_hosts: set[tuple[str, str]] = set()
        self.groups: set[str] = set()
        self.artifacts: set[str] = set()

    def fleet(self, hosts: Mapping[str, tuple[str, ...]], site: Mapping[str, Any], folder: Path) -> Fleet:
        """The first host has the site's variables, as in every fleet."""
        variables = {"site_name": "lab", **site}

        def watched(name: str) -> Watched:
            if name == "first":
                return Watched(variables, self.variables.add)
            group = hosts[name][0]
            return Watched(variables, lambda variable: self.of_hosts.add((group, variable)))

        members = {group: (name,) for name, groups in hosts.items() for group in groups}
        return WatchedFleet(
            "lab",
            folder / "hosts.yml",
            {
                name: Host(name, frozenset(groups), watched(name), Connection("192.0.2.11"))
                for name, groups in hosts.items()
            },
            Watched(members, self.groups.add),
            Watched(variables, self.variables.add),
        )

    def index(self) -> dict[str, Watched]:
        images = {name: {"tag": "1"} for name in catalogue.load().images}
        packaged = {name: {"path": f"{name}.tgz"} for name in find_charts()}
        sections = {"images": images, "charts": packaged}
        return {section: Watched(content, self.artifacts.add) for section, content in sections.items()}


class Client:
    """Takes all that is applied."""

    def __init__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get(self, *_: object, **__: object) -> dict[str, Any]:
        return {"items": []}

    async def apply(self, *_: object) -> dict[str, Any]:
        return {"metadata": {"generation": 1}}


class Helm:
    def __init__(self, *_: object) -> None:
        pass

    async def ensure(self, _: object) -> bool:
        return True


async def read_by_the_stage(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Reading:
    """What the whole stage reads of all kinds of sites."""
    (folder / "kubeconfig").write_text(KUBECONFIG)
    administrator = charts.access.admin_kubeconfig

    async def kubeconfig(fleet: Fleet) -> dict[str, Any]:
        # A control plane of the site's own is asked over ssh, for what is no variable.
        return await administrator(fleet) if fleet.foreign_cluster else {}

    for name, stand_in in (("KubernetesClient", Client), ("Helm", Helm), ("from_document", lambda _: None)):
        monkeypatch.setattr(charts, name, stand_in)
    monkeypatch.setattr(charts.access, "admin_kubeconfig", kubeconfig)
    reading = Reading()
    for hosts, site in SITES.values():
        await charts.apply(reading.fleet(hosts, site, folder), reading.index())
    return reading


async def test_the_stage_names_every_variable_that_it_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = (await read_by_the_stage(monkeypatch, tmp_path)).variables
    assert read - NOT_COMPARED == set(STAGE.variables)


async def test_the_stage_names_what_it_reads_of_other_hosts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reading = await read_by_the_stage(monkeypatch, tmp_path)
    named = {(peers.group, name) for peers in STAGE.peers for name in peers.variables}
    assert reading.of_hosts
    of_all = {name for group, name in named if group == "all"}
    assert {pair for pair in reading.of_hosts if pair[1] not in of_all} <= named
    # The control plane is why there is a stage at all.
    members = {*(peers.group for peers in STAGE.peers), *STAGE.inhabited, "kubernetes_control_plane"}
    # Of Slurm's nodes it lists the devices.
    assert STAGE.listed
    members |= {"slurm_node"}
    assert reading.groups <= members


async def test_the_stage_follows_the_artefacts_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = (await read_by_the_stage(monkeypatch, tmp_path)).artifacts
    assert read == set(STAGE.artifacts)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_release_names_the_variables_that_its_values_are_made_from(
    release: ChartRelease, tmp_path: Path
) -> None:
    reading = Reading()
    for hosts, site in SITES.values():
        release.values(reading.fleet(hosts, site, tmp_path))
    assert reading.variables == set(release.variables)


def test_every_chart_is_released() -> None:
    assert {release.name for release in RELEASES} == set(find_charts()), "add a row to engine/releases.py"
