import os
from pathlib import Path

import pytest

from tests.unit.roles.host_files.world import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    if os.geteuid() != 0:
        pytest.skip("only root may give files to root")
    return Host(tmp_path)
