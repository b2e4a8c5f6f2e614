"""Rotates a secret: phase by phase, brings hosts to what the vault says, proves it, and takes the vault on.

The vault is the journal (see site.rotations). A run that ends anywhere leaves a vault that `install` can
bring to the hosts, and the same command continues. The site's lock is held from the first look to the last
proof.
"""

from pathlib import Path

from platformctl.console import Output
from platformctl.engine import loading
from platformctl.engine.disturbances import Workload
from platformctl.engine.fleet import Fleet
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import work
from platformctl.engine.rotation.table import ROTATIONS, Rotation
from platformctl.engine.rotation.table import rotation as row_of
from platformctl.engine.running.install import Installation, Options
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import secrets
from platformctl.site.rotations import Phase

_DOES = {
    Phase.NEXT: "hosts learn the new one, and still use the old one",
    Phase.PREVIOUS: "hosts use the new one, and still accept the old one",
    Phase.RETIRED: "hosts know the new one alone",
}


async def rotate(inventory: Path, name: str, yes: bool, output: Output) -> ExitCode:
    """Rotate a secret, or continue a rotation; returns the exit code.

    Raises PlatformError, code INVALID, for a name that is none, and REFUSED if users' work would be lost, the
    site is not up to date, or the vault is not the one its hosts know.
    """
    row = row_of(name)
    if row is None:
        raise PlatformError(
            f"there is no secret {name}",
            where=str(secrets.vault_path(inventory)),
            next=f"choose one of {', '.join(each.secret.name for each in ROTATIONS)}",
            code=ExitCode.INVALID,
        )
    fleet = loading.load(inventory)
    command = f"platformctl secrets rotate {name} -i {fleet.inventory}"
    with ends_cleanly(command):
        if not fleet.members(row.group):
            raise _elsewhere(fleet, row)
        async with host_lock.hold(fleet, tuple(fleet.hosts), f"secrets rotate {name}"):
            return await _Rotating(row, inventory, yes, output, command).run()


class _Rotating:
    """One run of one rotation, under the site's lock."""

    def __init__(self, row: Rotation, inventory: Path, yes: bool, output: Output, command: str) -> None:
        self._row, self._inventory, self._yes = row, inventory, yes
        self._output, self._command = output, command

    async def run(self) -> ExitCode:
        """All phases from where the vault is."""
        fleet = loading.load(self._inventory)
        phase = self._phase(fleet)
        if phase is None:
            await self._prepare(fleet)
            phase = self._advance(fleet)
        else:
            self._tell("continues", f"a rotation of {self._name} had begun, and continues")
        while phase is not None:
            self._tell(phase, f"{self._name}: {_DOES[phase]}")
            code = await self._bring()
            if code is not ExitCode.DONE:
                self._tell("waits", f"the rotation of {self._name} is not finished; then: {self._command}")
                return code
            fleet = loading.load(self._inventory)
            for prove in self._row.proofs.get(phase, ()):
                self._tell(phase, f"{self._name}: {await prove(fleet)}")
            phase = self._advance(fleet)
        self._tell(
            "done",
            f"{self._name} is rotated. Whoever keeps a copy of the vault needs the new one: "
            f"{secrets.vault_path(self._inventory)}",
        )
        return ExitCode.DONE

    async def _prepare(self, fleet: Fleet) -> None:
        """Say what will happen, and refuse what must not begin."""
        secret = self._row.secret
        self._tell("begins", f"{secret.name} {secret.purpose}; used by {secret.users}")
        self._tell("begins", f"users notice {secret.notice}")
        draft = await self._installation(fleet).draft()
        if draft.plan.down:
            raise PlatformError(
                "hosts that have the secret do not answer, so nothing was done",
                where=", ".join(draft.plan.down),
                next=f"start them, or take them out of the inventory; then: {self._command}",
                code=ExitCode.UNREACHABLE,
                details=[f"{host} {why}" for host, why in draft.plan.down.items()],
            )
        if draft.plan.steps:
            stages = ", ".join(draft.plan.work)
            raise PlatformError(
                f"the site is not what its inventory says, so nothing was done: {stages} would run",
                where=str(fleet.inventory),
                next=f"platformctl install -i {fleet.inventory}; then: {self._command}",
                code=ExitCode.REFUSED,
            )
        await self._refuse_harm(fleet)

    async def _refuse_harm(self, fleet: Fleet) -> None:
        if self._yes or not self._row.ends_jobs:
            return
        found = await work.ask(fleet, {Workload.JOBS})
        running = [job for job in found.jobs if not job.waits]
        unknown = found.unknown.get(Workload.JOBS, "")
        if running or unknown:
            raise PlatformError(
                f"{unknown or f'{len(running)} jobs run'}, and running jobs may be lost, so nothing was done",
                where=", ".join(dict.fromkeys(node for job in running for node in job.nodes)),
                next=f"wait until none runs, or: {self._command} --yes",
                code=ExitCode.REFUSED,
                details=[self._row.secret.notice, *map(str, running[:20])],
            )

    async def _bring(self) -> ExitCode:
        """Bring hosts and charts to what the vault says now."""
        fleet = loading.load(self._inventory)
        return await self._installation(fleet).run_locked(self._output)

    def _installation(self, fleet: Fleet) -> Installation:
        options = Options(stages=self._row.stages, yes=self._yes, details=False, command=self._command)
        return Installation(fleet, options)

    def _advance(self, fleet: Fleet) -> Phase | None:
        """Take the vault one phase on, unless another run has done so."""
        secret, before = self._row.secret, self._phase(fleet)

        def further(held: dict[str, str]) -> dict[str, str]:
            return secret.advanced(held, fleet.site) if secret.phase(held) is before else held

        return secret.phase(secrets.change(self._inventory, further))

    def _phase(self, fleet: Fleet) -> Phase | None:
        return self._row.secret.phase({name: str(value) for name, value in fleet.variables.items()})

    @property
    def _name(self) -> str:
        return self._row.secret.name

    def _tell(self, phase: str, message: str) -> None:
        if self._output.json:
            self._output.event(
                {"event": "rotation", "secret": self._name, "phase": phase, "message": message}
            )
        else:
            self._output.say(message)


def _elsewhere(fleet: Fleet, row: Rotation) -> PlatformError:
    return PlatformError(
        f"no host of this site is in group {row.group}, so nothing here uses {row.secret.name}",
        where=str(fleet.inventory),
        next="change it where it is used, put it into the vault by `ansible-vault edit`, then: platformctl "
        f"install -i {fleet.inventory}",
        code=ExitCode.REFUSED,
    )
