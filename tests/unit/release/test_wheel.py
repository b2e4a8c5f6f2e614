"""The wheel in an environment of its own: it has what platformctl needs where there is no checkout."""

import os
import shutil
import subprocess
import sysconfig
import venv
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.version import Version

from platformctl import __version__, paths
from tests.unit.release.conftest import ROOT, files_of
from tests.unit.release.test_release import STEM, WHEEL
from tests.unit.site.test_init import edit

CARRIED = (
    *("playbooks", "roles", "molecule", ".config/molecule", "charts", "docs"),
    *("inventories/example-site", "inventories/lab"),
)
# Of the documentation only its pages; and playbooks/roles is a link to roles.
LEFT_OUT = {"docs/demo.svg", "docs/job.svg", "docs/record.py", "playbooks/roles"}


@pytest.fixture(scope="module")
def environment(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel; the packages that it needs are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    own = paths.cache_dir() / "uv/bin/uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    assert uv, "run: make setup"
    options = ["--quiet", "--offline", "--no-deps", "--python", str(folder / "bin/python")]
    subprocess.run([uv, "pip", "install", *options, str(released / WHEEL)], check=True)
    # Searched after the environment's own folder, in which the wheel lies.
    (site_packages(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


def run(environment: Path, folder: Path, *arguments: str) -> str:
    """Run the installed command somewhere; the output. It must succeed."""
    unset = {"PYTHONPATH", "VIRTUAL_ENV"}
    done = subprocess.run(
        [environment / "bin/platformctl", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in unset}
        | {"XDG_CONFIG_HOME": str(folder / "config")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_files_that_platformctl_reads_are_there(environment: Path) -> None:
    data = site_packages(environment) / "platformctl/data"
    wanted = [name for name in files_of(ROOT) if name.startswith(tuple(f"{folder}/" for folder in CARRIED))]
    assert {name.split("/")[0] for name in wanted} == {folder.split("/")[0] for folder in CARRIED}
    missing = [name for name in wanted if name not in LEFT_OUT and not (data / name).is_file()]
    assert missing == []
    assert [name for name in LEFT_OUT if (data / name).is_file()] == []
    assert (data / "playbooks/roles/base/tasks/main.yml").is_file()


def test_the_distribution_has_its_name_version_and_licence(environment: Path) -> None:
    folder = site_packages(environment) / f"{STEM}.dist-info"
    metadata = Parser().parsestr((folder / "METADATA").read_text())
    assert metadata["Name"] == "research-platformctl"
    assert metadata["Version"] == str(Version(__version__))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    licence = (folder / "licenses/LICENSE").read_text()
    assert licence == (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in licence


def test_the_command_runs_outside_of_a_checkout(environment: Path, tmp_path: Path) -> None:
    assert run(environment, tmp_path, "docs", "jobs") == (ROOT / "docs/jobs.md").read_text()
    run(environment, tmp_path, "init", "north")
    edit(tmp_path / "north")
    assert "no mistakes" in run(environment, tmp_path, "validate", "-i", "north")
