"""Loads Ansible plugins and scripts, which are no packages, as modules."""

import importlib
import importlib.util
import sys
from types import ModuleType

from platformctl import paths


def load(path: str) -> ModuleType:
    source = paths.data_dir() / path
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package_module(folder: str, name: str) -> ModuleType:
    """A module of a package that a role installs."""
    place = str(paths.data_dir() / folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    return importlib.import_module(name)
