"""How the site's Kubernetes is reached: a kubeconfig for programs, gone when they have ended."""

import stat
from pathlib import Path

import pytest
import yaml

from platformctl.engine import access

DOCUMENT = {"kind": "Config", "users": [{"name": "admin", "user": {"token": "secret"}}]}


def test_a_private_file_is_its_owners_alone_and_does_not_stay() -> None:
    with access.private_file(DOCUMENT) as path:
        assert yaml.safe_load(path.read_text()) == DOCUMENT
        assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]
    assert not path.parent.exists()


def test_a_private_file_does_not_outlive_an_error() -> None:
    left: list[Path] = []
    with pytest.raises(RuntimeError), access.private_file(DOCUMENT) as path:  # noqa: PT012
        left.append(path)
        raise RuntimeError
    assert not left[0].parent.exists()
