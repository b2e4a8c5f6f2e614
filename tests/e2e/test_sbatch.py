"""The same script by the site's own sbatch and as a Job: what it finds, leaves, and what is accounted."""

from pathlib import Path

import pytest

from tests.both_ways import Ran, Script, differences, run_both
from tests.both_ways.larger import larger
from tests.both_ways.scripts import COMPONENTS, SCRIPTS
from tests.both_ways.wanted import Wanted
from tests.e2e.conftest import Site


@pytest.fixture(scope="module")
def kubeconfig(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sbatch") / "kubeconfig"
    site.run("kubeconfig", "--user", "alice", "--file", str(file))
    return file


@pytest.fixture(scope="module")
def ran(site: Site, kubeconfig: Path) -> dict[str, tuple[Ran, Ran]]:
    """Every script, by real sbatch and as a Job: all are submitted first, then all have ended."""
    return run_both(site, SCRIPTS, kubeconfig)


@pytest.fixture(scope="module")
def ran_on_several(site: Site, kubeconfig: Path) -> dict[str, tuple[Ran, Ran]]:
    """The same for jobs of several components, on a Slurm of three nodes."""
    with larger(site, Wanted(), count=3):
        return run_both(site, COMPONENTS, kubeconfig)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_job_is_what_sbatch_makes(ran: dict[str, tuple[Ran, Ran]], script: Script) -> None:
    _same(*ran[script.name], script)


@pytest.mark.parametrize("script", COMPONENTS, ids=lambda script: script.name)
def test_a_heterogeneous_job_is_what_sbatch_makes(
    ran_on_several: dict[str, tuple[Ran, Ran]], script: Script
) -> None:
    _same(*ran_on_several[script.name], script)


def _same(real: Ran, made: Ran, script: Script) -> None:
    assert not real.refused
    assert differences(real, made) == []
    expected = script.state or ("FAILED" if script.code else "COMPLETED")
    ended = [line for line in real.accounted if f"|{expected}|" in line]
    assert ended
    assert script.state or all(f"|{script.code}:0|" in line for line in ended)
