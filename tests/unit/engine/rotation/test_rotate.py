"""A rotation from its first look to its last proof, killed at every step and continued."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from platformctl.console import Format, Output
from platformctl.engine.disturbances import Workload
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.work import Job, Work
from platformctl.engine.rotation import rotate as module
from platformctl.engine.rotation import table
from platformctl.engine.rotation.table import ROTATIONS, Rotation
from platformctl.engine.stages import STAGES
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.rotations import SECRETS, Phase
from tests.unit.engine.sites import make_fleet

OUTPUT = Output(format=Format.TEXT)
OLD = {variable: f"old {variable}" for secret in SECRETS for variable in secret.variables}
GROUPS = {"ctl1": ("munge", "slurm_controller", "slurm_accounting", "kubernetes_control_plane")}


class KilledError(Exception):
    pass


class World:
    """A vault, hosts that have what was brought to them last, and a place at which the run is killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vault = dict(OLD)
        self.hosts: dict[str, str] = dict(OLD)
        self.seen: list[tuple[str, Phase | None]] = []
        self.steps = 0
        self.kill_at = 0
        self.code = ExitCode.DONE
        self.work = Work()
        self.plan = SimpleNamespace(down={}, steps=(), work={})
        self.groups = GROUPS
        monkeypatch.setattr(module.loading, "load", lambda _: self.fleet())
        monkeypatch.setattr(module.secrets, "change", self.change)
        monkeypatch.setattr(module.host_lock, "hold", self.hold)
        monkeypatch.setattr(module, "Installation", self.installation)
        monkeypatch.setattr(module.work, "ask", self.ask)
        rows = tuple(replace(row, proofs=self.proofs(row)) for row in ROTATIONS)
        monkeypatch.setattr(table, "ROTATIONS", rows)

    def fleet(self) -> Fleet:
        return make_fleet(self.groups, self.vault)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            raise KilledError

    def change(self, _: Path, changed: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        self.step()
        self.vault = changed(dict(self.vault))
        self.step()
        return self.vault

    @asynccontextmanager
    async def hold(self, *_: object):  # type: ignore[no-untyped-def]
        yield "ctl1"

    async def ask(self, *_: object) -> Work:
        return self.work

    def installation(self, fleet: Fleet, options: Any) -> Any:
        async def draft() -> Any:
            return SimpleNamespace(plan=self.plan)

        async def run_locked(_: Output) -> ExitCode:
            self.step()
            if self.code is ExitCode.DONE:
                self.hosts = {name: str(value) for name, value in fleet.variables.items()}
            self.step()
            return self.code

        assert set(options.stages) <= {stage.name for stage in STAGES}
        return SimpleNamespace(draft=draft, run_locked=run_locked)

    def proofs(self, row: Rotation) -> dict[Phase, tuple[Callable[[Fleet], Awaitable[str]], ...]]:
        def proof(phase: Phase) -> Callable[[Fleet], Awaitable[str]]:
            async def prove(fleet: Fleet) -> str:
                self.step()
                # What is proven is what hosts have.
                assert self.hosts == fleet.variables
                self.seen.append((row.secret.name, phase))
                return "proven"

            return prove

        return {phase: tuple(proof(phase) for _ in proofs) for phase, proofs in row.proofs.items()}

    async def rotate(self, name: str, yes: bool = False) -> ExitCode:
        return await module.rotate(Path("/tmp/inventory"), name, yes, OUTPUT)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_every_secret_has_a_row_with_a_proof_of_each_phase() -> None:
    assert [row.secret for row in ROTATIONS] == list(SECRETS)
    for row in ROTATIONS:
        phases = set(Phase) if row.secret.overlap else {Phase.RETIRED}
        assert set(row.proofs) == phases, row.secret.name
        assert all(row.proofs.values())


def test_the_stages_of_a_row_are_those_that_use_the_secret() -> None:
    from platformctl import paths
    from platformctl.engine.planning import digest

    for row in ROTATIONS:
        using = []
        for stage in STAGES:
            roles = digest.with_included(stage.roles, paths.data_dir() / "roles")
            declared = {name for role in roles for name in digest.declared(paths.data_dir() / "roles" / role)}
            if set(row.secret.variables) & (declared | set(stage.variables)):
                using.append(stage.name)
        assert sorted(row.stages) == sorted(using), row.secret.name


@pytest.mark.parametrize("name", [secret.name for secret in SECRETS])
async def test_afterwards_hosts_and_vault_have_a_new_one_alone(world: World, name: str) -> None:
    assert await world.rotate(name) is ExitCode.DONE
    assert world.vault.keys() == OLD.keys()
    row = table.rotation(name)
    assert row
    changed = {variable for variable in OLD if world.vault[variable] != OLD[variable]}
    assert changed == set(row.secret.variables)
    # The last that hosts got has the retired one beside it, which no role reads.
    assert {key: value for key, value in world.hosts.items() if key in OLD} == {
        key: value for key, value in world.fleet().variables.items() if key in OLD
    }


@pytest.mark.parametrize("name", [secret.name for secret in SECRETS])
async def test_killed_at_any_step_it_continues_and_rotates_once(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = World(monkeypatch)
    await whole.rotate(name)
    row = table.rotation(name)
    assert row
    for step in range(1, whole.steps + 1):
        world = World(monkeypatch)
        world.kill_at = step
        with pytest.raises(KilledError):
            await world.rotate(name)
        begun = world.vault != OLD
        over = begun and row.secret.phase(world.vault) is None
        first = {variable: world.vault.get(f"{variable}_next") or world.vault[variable] for variable in OLD}
        if not over:
            assert await world.rotate(name) is ExitCode.DONE
        assert row.secret.phase(world.vault) is None
        # What was made before the kill is what it ends with: the same rotation, not a second one.
        assert not begun or world.vault == first
        assert all(world.vault[variable] != OLD[variable] for variable in row.secret.variables)


async def test_old_and_new_are_never_unknown_at_the_same_time(world: World) -> None:
    known: list[set[str]] = []
    original = world.change

    def change(path: Path, changed: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        known.append(
            {value for key, value in world.hosts.items() if "encryption_key" in key and "name" not in key}
        )
        return original(path, changed)

    module.secrets.change = change  # type: ignore[assignment]
    await world.rotate("kubernetes_encryption_key")
    new = world.vault["secret_kubernetes_encryption_key"]
    old = OLD["secret_kubernetes_encryption_key"]
    assert known == [{old}, {old, new}, {old, new}, {old, new}]


async def test_what_does_not_answer_is_named_before_anything(world: World) -> None:
    world.plan = SimpleNamespace(down={"n3": "does not answer: no route"}, steps=(), work={})
    with pytest.raises(PlatformError, match="do not answer, so nothing was done") as caught:
        await world.rotate("munge_key")
    assert caught.value.code is ExitCode.UNREACHABLE
    assert caught.value.details == ["n3 does not answer: no route"]
    assert world.vault == OLD


async def test_a_site_that_is_not_up_to_date_is_refused(world: World) -> None:
    world.plan = SimpleNamespace(down={}, steps=(1,), work={"munge": ("n1",)})
    with pytest.raises(PlatformError, match="munge would run") as caught:
        await world.rotate("munge_key")
    assert caught.value.code is ExitCode.REFUSED
    assert "platformctl install -i" in caught.value.next
    assert world.vault == OLD


async def test_running_jobs_are_an_impact_that_needs_yes(world: World) -> None:
    jobs = [Job(number, "alice", ("main",), "RUNNING", "1:00", ("n1",)) for number in ("1", "2")]
    world.work = Work((*jobs, Job("3", "bob", ("main",), "PENDING", "1:00")))
    with pytest.raises(PlatformError, match="2 jobs run") as caught:
        await world.rotate("munge_key")
    assert (caught.value.code, world.vault) == (ExitCode.REFUSED, OLD)
    assert "--yes" in caught.value.next
    assert await world.rotate("slurm_accounting_password") is ExitCode.DONE
    assert await world.rotate("munge_key", yes=True) is ExitCode.DONE


async def test_jobs_that_are_not_known_need_yes_too(world: World) -> None:
    world.work = Work(unknown={Workload.JOBS: "Slurm does not say"})
    with pytest.raises(PlatformError, match="Slurm does not say"):
        await world.rotate("munge_key")


async def test_hosts_that_fail_leave_it_unfinished(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.code = ExitCode.UNREACHABLE
    assert await world.rotate("kubernetes_encryption_key") is ExitCode.UNREACHABLE
    assert "secret_kubernetes_encryption_key_next" in world.vault
    assert "platformctl secrets rotate kubernetes_encryption_key -i" in capsys.readouterr().out
    world.code = ExitCode.DONE
    assert await world.rotate("kubernetes_encryption_key") is ExitCode.DONE


async def test_a_name_that_is_none_lists_the_names(world: World) -> None:
    with pytest.raises(PlatformError, match="there is no secret key") as caught:
        await world.rotate("key")
    assert caught.value.code is ExitCode.INVALID
    assert all(secret.name in caught.value.next for secret in SECRETS)


async def test_what_platformctl_does_not_run_is_not_rotated(world: World) -> None:
    world.groups = {"ctl1": ("kubernetes_control_plane",)}
    with pytest.raises(PlatformError, match="group slurm_controller") as caught:
        await world.rotate("slurm_jwt_key")
    assert (caught.value.code, world.vault) == (ExitCode.REFUSED, OLD)


async def test_it_says_what_users_notice_before_it_begins(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.kill_at = 1
    with pytest.raises(KilledError):
        await world.rotate("slurm_jwt_key")
    assert "scontrol token" in " ".join(capsys.readouterr().out.split())
