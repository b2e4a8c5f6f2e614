import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths
from platformctl.console import Format, Output
from platformctl.engine import remote
from platformctl.engine import stages as table
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking import host_lock
from platformctl.engine.running import reset as undo
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.reset import HostReset
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import Hosts, make_fleet

FLEET = make_fleet({"ctl1": (), "n2": (), "n3": ()})


class Playbooks:
    """Stands in for Session: what was run, and who held the site's lock meanwhile."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.variables: list[Mapping[str, Any]] = []
        self.locked: list[str] = []
        self.ends: dict[str, HostResult] = {}

    def __call__(self, *_: object) -> "Playbooks":
        return self

    async def run(self, stage: str, hosts: tuple[str, ...], variables: Mapping[str, Any]) -> StageResult:
        self.variables.append(variables)
        self.locked = [
            host.name
            for host in FLEET.hosts.values()
            if (self.hosts.folder(host.connection.address) / "lock").is_dir()
        ]
        return StageResult(stage, {host: self.ends.get(host, HostResult(Status.OK)) for host in hosts}, 0.1)


@pytest.fixture
def playbooks(hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Playbooks:
    found = Playbooks(hosts)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(undo, "Session", found)
    monkeypatch.setattr(remote, "run_all", hosts.run_all)
    return found


async def reset(fleet: Fleet, found: HostReset) -> ExitCode:
    return await undo.reset(fleet, found, Path(), Output(format=Format.JSON))


N3 = HostReset({"n3": ("shared_home", "base")}, {})


async def test_a_reset_of_one_host_and_an_installation_exclude_each_other(playbooks: Playbooks) -> None:
    async with host_lock.hold(FLEET, tuple(FLEET.hosts), "install"):
        with pytest.raises(PlatformError) as error:
            await reset(FLEET, N3)
    assert error.value.code is ExitCode.REFUSED
    assert playbooks.variables == []


@pytest.mark.parametrize(("down", "where"), [(set(), "ctl1"), ({"192.0.2.11"}, "n2")])
async def test_the_lock_is_where_an_installation_looks_for_it(
    playbooks: Playbooks, hosts: Hosts, down: set[str], where: str
) -> None:
    hosts.down = down
    assert await reset(FLEET, N3) is ExitCode.DONE
    assert playbooks.locked == [where]


async def test_roles_are_told_which_hosts_have_nothing(playbooks: Playbooks, hosts: Hosts) -> None:
    await reset(FLEET, HostReset({"n3": ("base",)}, {}, bare=("ctl1", "n2")))
    (variables,) = playbooks.variables
    assert variables["reset_roles"] == {"n3": ["base"], "ctl1": [], "n2": []}


STAGES = {"base": ("base", "users", "packages"), "containerd": ("containerd", "packages"), "charts": ()}


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        ((), set()),
        (("containerd : Stop containerd",), {"containerd"}),
        (("users : Remove", "containerd : Stop"), {"base", "containerd"}),
        (("packages : Remove",), {"base", "containerd"}),
        (("unknown : Leave the cluster",), {"base", "containerd", "charts"}),
    ],
)
async def test_a_host_forgets_what_is_gone_and_nothing_else(
    playbooks: Playbooks, hosts: Hosts, failed: tuple[str, ...], left: set[str]
) -> None:
    folder = hosts.folder("192.0.2.13")
    (folder / "before").mkdir(parents=True)
    (folder / "managed").touch()
    (folder / "digests.json").write_text(json.dumps({name: {} for name in STAGES}))
    if failed:
        playbooks.ends["n3"] = HostResult(Status.FAILED, "2 tasks", "in use", failed=failed)
    code = await reset(FLEET, HostReset({"n3": ("containerd", "base")}, {}, stages=STAGES))
    assert code is (ExitCode.FAILED if failed else ExitCode.DONE)
    assert folder.exists() is bool(left)
    if left:
        kept = json.loads((folder / "digests.json").read_text())
        assert set(kept) & set(STAGES) == left
        assert (folder / "managed").exists()
        assert (folder / "before").exists()


@pytest.mark.parametrize(
    ("role", "stages"),
    [
        ("device_health", {"kubernetes_node", "slurm_node"}),
        ("kubernetes_kubelet", {"kubernetes_control_plane", "kubernetes_node"}),
        ("slurm", {"slurm_accounting", "slurm_controller", "slurm_node"}),
        ("munge", {"munge"}),
    ],
)
async def test_a_role_belongs_to_the_stages_whose_roles_include_it(
    hosts: Hosts, role: str, stages: set[str]
) -> None:
    found = await undo.planned_reset(FLEET, (), table.STAGES, paths.data_dir())
    assert {name for name, roles in found.stages.items() if role in roles} == stages


async def test_every_role_belongs_to_a_stage(hosts: Hosts) -> None:
    found = await undo.planned_reset(FLEET, (), table.STAGES, paths.data_dir())
    folder = paths.data_dir() / "roles"
    there = {path.parent.parent.name for path in folder.glob("*/tasks/main.yml")}
    assert there <= {role for roles in found.stages.values() for role in roles}


async def test_hosts_without_anything_are_found(hosts: Hosts, tmp_path: Path) -> None:
    hosts.down = {"192.0.2.13"}
    found = await undo.planned_reset(FLEET, tuple(FLEET.hosts), (), tmp_path)
    assert (found.roles, found.bare, set(found.down)) == ({}, ("ctl1", "n2"), {"n3"})


@pytest.mark.parametrize(
    ("roles", "left"),
    [
        ({"n3": ["shared_home"]}, True),
        ({"ctl1": ["shared_home"]}, True),
        ({"ctl1": ["shared_home"], "n3": ["shared_home"]}, False),
        ({"ctl1": [], "n3": ["shared_home"]}, False),
    ],
)
def test_the_marker_of_the_shared_home_stays_while_a_host_needs_it(
    tmp_path: Path, roles: Mapping[str, list[str]], left: bool
) -> None:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"ctl1": local, "n3": local}}}))
    task = {
        "ansible.builtin.include_role": {"name": "shared_home", "tasks_from": "reset"},
        "when": "'shared_home' in reset_roles.get(inventory_hostname, [])",
    }
    play = {"hosts": ",".join(roles), "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    marker = tmp_path / ".platformctl-shared-home"
    marker.touch()
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    settings = json.dumps({"reset_roles": roles, "shared_home_path": str(tmp_path)})
    ended = subprocess.run(
        [program, "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.json"), "-e", settings],
        env={**os.environ, "ANSIBLE_ROLES_PATH": str(paths.data_dir() / "roles")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert marker.exists() is left
