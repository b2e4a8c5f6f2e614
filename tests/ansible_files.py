"""Loads Ansible plugins and scripts, which are no packages, as modules."""

import importlib.util
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
