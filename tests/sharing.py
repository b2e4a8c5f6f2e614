"""Which tests run in one process when several processes share them (pytest --numprocesses)."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# What these suites start is dear (a control plane, a lab, a site), so one process runs a whole directory.
_BY_DIRECTORY = ("tests/integration/", "tests/e2e/")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The hook that pytest-xdist asks for its scheduler."""
    return BySuite(config, log)


class BySuite(LoadScopeScheduling):
    """Hands out whole files, and whole directories of the suites that start something dear."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file.rpartition("/")[0] if file.startswith(_BY_DIRECTORY) else file
