import tarfile
from pathlib import Path

import pytest

from platformctl.artifacts import charts
from platformctl.errors import PlatformError


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "charts" / "hello"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: hello\nversion: 1.2.3\n")
    (folder / "templates" / "pod.yaml").write_text("kind: Pod\n")
    return folder


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return [member.name for member in opened if member.isfile()]


def test_a_chart_is_one_folder_of_its_name(chart: Path, tmp_path: Path) -> None:
    charts.package("hello", chart, None, tmp_path / "hello.tgz")
    assert names(tmp_path / "hello.tgz") == ["hello/Chart.yaml", "hello/templates/pod.yaml"]
    assert charts.chart_version(chart) == "1.2.3"


def test_definitions_of_an_operator_are_added(chart: Path, tmp_path: Path) -> None:
    crds = tmp_path / "crds"
    crds.mkdir()
    (crds / "hello.yaml").write_text("kind: CustomResourceDefinition\n")
    charts.package("hello", chart, crds, tmp_path / "hello.tgz")
    assert "hello/crds/hello.yaml" in names(tmp_path / "hello.tgz")


def test_missing_definitions_are_refused(chart: Path, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="no custom resource definitions"):
        charts.package("hello", chart, tmp_path, tmp_path / "hello.tgz")


def test_the_same_chart_gives_the_same_package(chart: Path, tmp_path: Path) -> None:
    for name in ("one.tgz", "two.tgz"):
        charts.package("hello", chart, None, tmp_path / name)
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()


def test_an_edited_chart_has_another_key(chart: Path) -> None:
    before = charts.chart_key(chart, "")
    (chart / "templates" / "pod.yaml").write_text("kind: Job\n")
    assert charts.chart_key(chart, "") != before
