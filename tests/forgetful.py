"""A plugin for pytest: has a process forget what the program's functions have remembered.

mutmut forks for each mutant from a process in which the tests have run already. What is remembered there
was computed by the code as it was, so that no mutant of it would ever run.
"""

import functools
import gc


def pytest_sessionstart() -> None:
    """Clear every cache of functools."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("platformctl"):
            found.cache_clear()
