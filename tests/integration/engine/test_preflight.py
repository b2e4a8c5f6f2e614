"""Preflight on real hosts of which one is not well: which host, what is wrong, and nobody else waits."""

import asyncio
import time

import pytest

from platformctl import lab as labs
from platformctl import paths
from platformctl.engine.checking.check import Verdict, check
from platformctl.engine.checking.preflight import Finding, Level
from platformctl.engine.loading import load
from platformctl.lab import faults
from tests.conftest import LabFactory

pytestmark = pytest.mark.lab

# h1 is the least that a host must be for an inventory to be a site.
_GROUPS = """\
  children:
    containerd: {hosts: {h1: {}}}
    registry: {hosts: {h1: {}}}
    kubernetes_control_plane: {hosts: {h1: {}}}
"""


@pytest.fixture(scope="module")
def eight(make_lab: LabFactory) -> labs.Lab:
    """A lab of eight plain hosts, h1 to h8; h1 has a task."""
    lab = make_lab(*(f"h{number}" for number in range(1, 9)))
    with (lab.inventory / "hosts.yml").open("a") as file:
        file.write(_GROUPS)
    return lab


def preflight(lab: labs.Lab) -> tuple[Verdict, float]:
    """What it found, and the seconds that it took."""
    fleet = load(lab.inventory)
    started = time.monotonic()
    verdict = asyncio.run(check(fleet, tuple(fleet.hosts), paths.data_dir()))
    return verdict, time.monotonic() - started


def unwell(verdict: Verdict, name: str) -> list[Finding]:
    """Findings of one check that somebody should look at."""
    return [found for found in verdict.findings if found.check == name and found.level is not Level.OK]


def test_a_wrong_clock_is_named_with_its_remedy(eight: labs.Lab) -> None:
    with faults.skewed_clock(eight, "h4", -120):
        verdict, _ = preflight(eight)
    (found,) = unwell(verdict, "clock")
    assert (found.host, found.level) == ("h4", Level.ERROR)
    assert found.found.endswith("s behind this machine")
    assert "chrony" in found.remedy


def test_both_hosts_of_a_pair_that_is_parted_name_each_other(eight: labs.Lab) -> None:
    with faults.parted(eight, "h5", "h7"):
        verdict, _ = preflight(eight)
    found = {finding.host: finding.found for finding in unwell(verdict, "reach")}
    assert found == {"h5": "cannot reach h7 (timed out)", "h7": "cannot reach h5 (timed out)"}
    assert not verdict.unreachable


def test_a_slow_host_is_waited_for_and_its_clock_not_blamed(eight: labs.Lab) -> None:
    preflight(eight)  # opens the connections, so that only the probe itself goes over the slow link
    with faults.slow(eight, "h3", kilobits=32, loss=0):
        verdict, seconds = preflight(eight)
    assert seconds > 5, "the link was not slow enough to be taken for a wrong clock"
    assert not verdict.unreachable
    assert not unwell(verdict, "clock")
