"""Which tests run in one process when several processes share them (pytest --numprocesses)."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# What these suites start is dear (a control plane, a lab, a site), so one process runs a whole directory.
_BY_DIRECTORY = ("tests/integration/", "tests/e2e/")
# The end-to-end tests in one process would take twice as long as all others in the other one. So they are
# three parts: those with sites of their own, those that change the site of this suite, and the rest.
_PARTS = {
    "own": ("test_upstream", "test_devices", "test_node_classes"),
    "changing": ("test_impact", "test_dirt", "test_removal", "test_move", "test_users", "test_change"),
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The hook that pytest-xdist asks for its scheduler."""
    return BySuite(config, log)


class BySuite(LoadScopeScheduling):
    """Hands out whole files, and whole directories of the suites that start something dear."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith(_BY_DIRECTORY):
            return file
        folder, _, name = file.rpartition("/")
        parts = [part for part, stems in _PARTS.items() if name.removesuffix(".py") in stems]
        return "/".join([folder, *parts])
