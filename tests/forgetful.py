"""A plugin for pytest under mutmut: forgets what the code as it was remembered, and runs quick tests first.

mutmut forks for each mutant from a process in which the tests have run already. What is remembered there
was computed by the code as it was, so that no mutant of it would ever run. And it runs tests in any order, up
to the first that fails: that comes soonest when those that start programs of their own are the last.
"""

import functools
import gc
import json
from pathlib import Path

import pytest

_STATS = Path("mutmut-stats.json")
"""Where mutmut notes how long each test took, from the folder in which it runs them."""


def pytest_sessionstart() -> None:
    """Clear every cache of functools."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("platformctl"):
            found.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests by how long they took on the code as it was."""
    if _STATS.exists():
        seconds = json.loads(_STATS.read_text())["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))
