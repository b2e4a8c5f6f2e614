"""Loads Ansible plugins and scripts, which are no packages, as modules."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import jinja2
from ansible.plugins.filter.core import FilterModule

from platformctl import paths


def load(path: str) -> ModuleType:
    source = paths.data_dir() / path
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rendered(path: str, **variables: Any) -> str:
    """A role's template with these variables, by Jinja with Ansible's filters; lookups give nothing."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    environment.filters = FilterModule().filters() | environment.filters
    environment.globals["lookup"] = lambda *_: ""
    return environment.from_string((paths.data_dir() / path).read_text()).render(**variables)


def package_module(folder: str, name: str) -> ModuleType:
    """A module of a package that a role installs."""
    place = str(paths.data_dir() / folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    return importlib.import_module(name)
