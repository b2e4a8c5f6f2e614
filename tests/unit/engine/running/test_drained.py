"""Nodes that were drained for an installation: which of them return, however it ends."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from platformctl.console import Format, Output
from platformctl.engine.planning.plan import Plan
from platformctl.engine.running import protection
from platformctl.engine.running.install import Draft, Installation, Options
from platformctl.engine.running.journal import Event, Journal
from platformctl.engine.running.outcome import HostResult, StageResult, Status
from platformctl.engine.running.protection import Say
from platformctl.engine.running.redact import Redactor
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"n1": ("slurm_node",), "n2": ("slurm_node",)})
STUCK = PlatformError("n1 is still drained", next="look there")
DRAFT = Draft(Plan((), {}), (), fetched=True)


class Drainer:
    """Notes which nodes return."""

    options = "--drain"
    error: PlatformError | None = None

    def __init__(self) -> None:
        self.returned: list[str] = []

    async def drain(self, names: Sequence[str], say: Say) -> None: ...

    async def undrain(self, names: Sequence[str], say: Say) -> None:
        if self.error:
            raise self.error
        self.returned += names


@pytest.fixture
def drainer(monkeypatch: pytest.MonkeyPatch) -> Drainer:
    async def protect(*_: object) -> tuple[str, ...]:
        return ("n1", "n2")

    monkeypatch.setattr(protection, "protect", protect)
    return Drainer()


async def ends(
    drainer: Drainer, folder: Path, unfit: set[str], error: BaseException | None = None
) -> tuple[str, PlatformError | None]:
    """What is said in a run that ends so, and why a node could not return."""
    told: list[Event] = []
    with Journal(folder / "run", Redactor([]), told.append) as journal:
        try:
            async with Installation(FLEET, Options(drainer=drainer))._protected(DRAFT, journal) as drained:
                drained.unfit = lambda: unfit
                if error:
                    raise error
        except asyncio.CancelledError:
            assert error
    return "\n".join(str(event.get("message", "")) for event in told), drained.stuck


@pytest.mark.parametrize("error", [None, asyncio.CancelledError()])
async def test_only_nodes_that_are_fit_return(
    drainer: Drainer, tmp_path: Path, error: BaseException | None
) -> None:
    said, stuck = await ends(drainer, tmp_path, {"n2", "another"}, error)
    assert drainer.returned == ["n1"]
    assert "n2 stays drained" in said
    assert f"platformctl node undrain -i {FLEET.inventory} n2" in said
    assert stuck is None


async def test_a_node_that_cannot_return_ends_no_run(drainer: Drainer, tmp_path: Path) -> None:
    drainer.error = STUCK
    said, stuck = await ends(drainer, tmp_path, set())
    assert "n1 is still drained" in said
    assert stuck is STUCK


async def test_the_results_come_before_the_error_of_a_node_that_cannot_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept: list[object] = []

    async def carry_out(*_: object) -> tuple[dict[str, StageResult], PlatformError]:
        return {"slurm_node": StageResult("slurm_node", {"n1": HostResult(Status.CHANGED)}, 2.0)}, STUCK

    installation = Installation(FLEET, Options())
    monkeypatch.setattr(installation, "_carry_out", carry_out)
    monkeypatch.setattr(
        "platformctl.engine.running.durations.Durations.save", lambda _, new: kept.append(new)
    )
    with pytest.raises(PlatformError, match="still drained") as raised:
        await installation.run_locked(Output(Format.JSON))
    assert raised.value.code is ExitCode.FAILED
    assert kept == [{"slurm_node": 2.0}]
