import asyncio
from pathlib import Path

import pytest

from platformctl.engine.fleet import LOCALHOST
from platformctl.engine.running import steps
from platformctl.engine.running.journal import Event, Journal
from platformctl.engine.running.progress import Lines
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.stages import STAGES, StageRunner
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet


def test_a_failing_step_is_told_once_and_names_the_site(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fail(*_: object) -> None:
        raise PlatformError("a [file] was damaged", "there", "platformctl artifacts fetch", details=["one"])

    stage = next(stage for stage in STAGES if stage.runner is StageRunner.ARTIFACTS)
    monkeypatch.setattr(steps, "_STEPS", {stage.runner: fail})
    fleet = make_fleet({"n1": ()})
    lines: list[str] = []
    view = Lines(lines.append)

    def show(event: Event) -> None:
        view.show(event)

    with Journal(tmp_path / "run", Redactor([]), show) as journal:
        context = steps.Context(fleet, tmp_path, journal)
        Reporter(fleet, journal, "install").stage(asyncio.run(steps.run(stage, (LOCALHOST,), context)))
    assert lines[0].splitlines()[1:] == [
        r"      a \[file] was damaged",
        "        one",
        "        where: there",
        f"        next:  platformctl artifacts fetch -i {fleet.inventory}",
        f"      retry: platformctl install -i {fleet.inventory} --stage {stage.name}",
    ]
