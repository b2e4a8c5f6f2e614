"""How the site's Kubernetes is reached: kubectl in scripts, and a kubeconfig for programs."""

import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from platformctl.engine import access
from platformctl.engine.fleet import Connection

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


def test_a_script_calls_kubectl_by_its_name_and_its_requests_end() -> None:
    kubectl = access.Kubectl(Connection("", "root", local=True), "echo --kubeconfig 'a b'", "here")
    script = f"{kubectl.function(seconds=7)}\nkubectl get 'c d'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "--kubeconfig a b --request-timeout=7s get c d\n"
