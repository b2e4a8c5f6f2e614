"""There is one version, and everything of ours that has one agrees with it."""

import re

import pytest
import yaml
from packaging.version import Version
from typer.testing import CliRunner

from platformctl import __version__
from platformctl.artifacts import charts, wheels
from platformctl.cli.main import app
from tests.unit.release.conftest import ROOT


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{__version__}\n"


@pytest.mark.parametrize("name", sorted(charts.find_charts()))
def test_a_chart_has_it(name: str) -> None:
    assert charts.chart_version(ROOT / "charts" / name) == __version__


def test_the_router_is_of_it() -> None:
    folder = ROOT / "charts/job-router"
    assert str(yaml.safe_load((folder / "Chart.yaml").read_text())["appVersion"]) == __version__
    assert str(yaml.safe_load((folder / "values.yaml").read_text())["image"]["tag"]) == __version__


def test_the_dask_operator_is_of_the_version_in_its_lock() -> None:
    chart = yaml.safe_load((ROOT / "charts/dask-operator/Chart.yaml").read_text())
    assert str(chart["appVersion"]) == wheels.locked_version("dask-kubernetes-operator", "dask-kubernetes")


def test_the_changelog_lists_versions_with_their_dates_newest_first() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    found = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:]]
    assert all(found), headings
    versions = [Version(match[1]) for match in found if match]
    assert versions == sorted(versions, reverse=True)
