"""What is reported of the proof of a stage: waits, and how it ended on each host."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.checking.proofs import waiting
from platformctl.engine.planning.record import Records
from platformctl.engine.running import proving
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import Status
from platformctl.engine.running.progress import Lines
from platformctl.engine.running.redact import Redactor
from platformctl.engine.stages import STAGES, Stage
from tests.unit.engine.checking.answering import Site
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({"n1": ("munge",), "n2": ("munge",)})
MUNGE = next(stage for stage in STAGES if stage.name == "munge")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(FLEET)
    monkeypatch.setattr(remote, "run", site.run)
    clock = iter(range(0, 10**6, 2))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(waiting, "_FIRST_PAUSE", 0.0)
    return site


async def prove(tmp_path: Path, stage: Stage = MUNGE) -> tuple[Mapping[str, Any], list[str]]:
    lines: list[str] = []
    with Journal(tmp_path / "run", Redactor([]), Lines(lines.append).show) as journal:
        results = await proving.prove(FLEET, stage, ["n1", "n2"], Records({}), set(), journal)
    return results, lines


async def test_a_healthy_stage_is_told_nothing_of(site: Site, tmp_path: Path) -> None:
    assert await prove(tmp_path) == ({}, [])


async def test_a_host_that_stays_sick_has_failed_with_the_words(site: Site, tmp_path: Path) -> None:
    site.bad["n2", "munge.munge"] = (1, "a credential of the first host is refused: Rewound credential")
    results, lines = await prove(tmp_path)
    assert set(results) == {"n2"}
    assert results["n2"].status is Status.FAILED
    assert results["n2"].message == (
        "munge: a credential of the first host is refused: Rewound credential "
        "(look at: journalctl -u munge -n 50)"
    )
    (told,) = lines
    assert "munge on n2: waits for munge of n2: a credential of the first host is refused" in told


async def test_a_host_that_goes_away_is_unreachable(site: Site, tmp_path: Path) -> None:
    site.down.add("n2")
    results, _ = await prove(tmp_path)
    assert {host: end.status for host, end in results.items()} == {"n2": Status.UNREACHABLE}


async def test_a_stage_without_a_proof_asks_nobody(site: Site, tmp_path: Path) -> None:
    preflight = next(stage for stage in STAGES if stage.name == "preflight")
    assert await prove(tmp_path, preflight) == ({}, [])
    assert site.scripts == []
