"""The API server with the job router's chart applied."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from platformctl.paths import data_dir
from tests.integration.control_plane import ADMIN, ControlPlane, program, start

VALUES = """
site: test
users:
  - {name: alice, uid: 10001, gid: 10001, groups: [20001], account: physics, home: /home/alice}
"""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    users = {"alice": "platform:users", "bob": "platform:users", "mallory": "platform:users"}
    with start(folder, users) as plane:
        _install_chart(plane, folder)
        yield plane


def _install_chart(plane: ControlPlane, folder: Path) -> None:
    helm, kubectl = program("helm"), program("kubectl")
    values = folder / "values.yaml"
    values.write_text(VALUES)
    chart = data_dir() / "charts" / "job-router"
    rendered = subprocess.run(
        [helm, "template", "job-router", chart, "--values", values], check=True, capture_output=True
    )
    subprocess.run(
        [kubectl, "--kubeconfig", plane.kubeconfig(ADMIN), "apply", "--server-side", "--wait", "-f", "-"],
        input=rendered.stdout,
        check=True,
    )
