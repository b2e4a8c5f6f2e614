"""Settings that containerd passes over are mistakes."""

import os
from pathlib import Path

import pytest

from tests import ansible_files

CONFIG = 'version = 2\n[plugins."cri"]\n  sandbox_image = "x"\n  [plugins."cri".registry]\n    {key} = "/y"\n'
DUMP = """version = {version}
[plugins."cri"]
  sandbox_image = "x"
  more = 1
  [plugins."cri".registry]
    config_path = "/y"
"""


@pytest.fixture
def mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is said of a configuration, by a containerd that knows the settings of DUMP."""
    check = ansible_files.load("roles/containerd/files/check_containerd.py")
    monkeypatch.setattr(check, "CONFIG", tmp_path / "config.toml")
    monkeypatch.setattr(check, "MIRRORS", tmp_path / "certs.d")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def judge(config: str, version: int = 2) -> list[str]:
        (tmp_path / "config.toml").write_text(config)
        (tmp_path / "containerd").write_text(f"#!/bin/sh\ncat <<'END'\n{DUMP.format(version=version)}END\n")
        (tmp_path / "containerd").chmod(0o755)
        return [*check._mirrors(), *check._config()]

    return judge


def test_a_setting_that_it_does_not_know(mistakes) -> None:
    assert mistakes(CONFIG.format(key="config_path")) == []
    (words,) = mistakes(CONFIG.format(key="config_pahth"))
    assert words.endswith("containerd has no setting plugins.cri.registry.config_pahth")


def test_names_of_another_version_of_the_file_are_not_compared(mistakes) -> None:
    assert mistakes(CONFIG.format(key="config_pahth"), version=3) == []


def test_a_mirror_that_is_no_toml(mistakes, tmp_path: Path) -> None:
    mirror = tmp_path / "certs.d/docker.io/hosts.toml"
    mirror.parent.mkdir(parents=True)
    mirror.write_text('[host."https://x"\n')
    (words,) = mistakes(CONFIG.format(key="config_path"))
    assert words.startswith(str(mirror))
