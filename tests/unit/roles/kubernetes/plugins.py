"""Plugins and helpers of roles, loaded from where they lie: roles are no Python packages."""

import importlib.util
from types import ModuleType

from platformctl import paths


def load(path: str) -> ModuleType:
    """The Python file at `path`, relative to the data folder, as a module."""
    spec = importlib.util.spec_from_file_location(
        path.replace("/", "_").removesuffix(".py"), paths.data_dir() / path
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
