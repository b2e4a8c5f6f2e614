"""An upgrade's test runs older revisions, which ask for their version by the distribution's former name."""

import os
import subprocess
import sys
from pathlib import Path

from tests.kind.last_release import name_distribution

_ASKS = 'from importlib.metadata import version\n\n__version__ = version("platformctl")\n'


def test_an_older_revision_finds_its_own_version(tmp_path: Path) -> None:
    (tmp_path / "platformctl").mkdir()
    (tmp_path / "platformctl/__init__.py").write_text(_ASKS)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "platformctl"\nversion = "0.0.7"\n')
    name_distribution(tmp_path)
    command = [sys.executable, "-c", "import platformctl; print(platformctl.__version__)"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0.0.7\n"


def test_a_revision_that_knows_its_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndynamic = ["version"]\n')
    name_distribution(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]
