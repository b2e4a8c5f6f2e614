"""Loads Ansible plugins and scripts, which are no packages, as modules."""

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import ansible.module_utils
import jinja2
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.filter.core import FilterModule
from ansible.template import Templar, trust_as_template

from platformctl import paths

# As Ansible finds what is beside the playbooks.
ansible.module_utils.__path__.append(str(paths.data_dir() / "playbooks/module_utils"))


def load(path: str) -> ModuleType:
    source = paths.data_dir() / path
    # As Ansible does: what our modules share is found below ansible.module_utils.
    shared = str(paths.data_dir() / "playbooks/module_utils")
    if shared not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(shared)
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# As Ansible does: what is in module_utils beside the playbooks becomes a part of ansible.module_utils.
_RUN_MODULE = """
import runpy, sys
import ansible.module_utils
module = sys.argv.pop()
ansible.module_utils.__path__.append(sys.argv.pop())
runpy.run_path(module, run_name="__main__")
"""


def module_command(path: str) -> list[str]:
    """The command that runs a module of the playbooks, with its arguments as JSON on standard input."""
    data = paths.data_dir()
    return [sys.executable, "-c", _RUN_MODULE, str(data / "playbooks/module_utils"), str(data / path)]


def rendered(path: str, filters: Mapping[str, Callable[..., Any]] | None = None, **variables: Any) -> str:
    """A role's template with these variables, by Jinja with Ansible's filters; lookups give nothing."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    environment.filters = FilterModule().filters() | environment.filters | dict(filters or {})
    environment.globals["lookup"] = lambda *_: ""
    return environment.from_string((paths.data_dir() / path).read_text()).render(**variables)


def role_value(role: str, expression: str, **variables: Any) -> str:
    """What an expression is in a role, by Ansible, with these variables and those of its vars/main.yml."""
    own = yaml.safe_load((paths.data_dir() / "roles" / role / "vars/main.yml").read_text())
    trusted = {name: _trusted(value) for name, value in own.items()} | variables
    templar = Templar(loader=DataLoader(), variables=trusted)
    return str(templar.template(trust_as_template(f"{{{{ {expression} }}}}")))


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(inner) for key, inner in value.items()}
    return trust_as_template(value) if isinstance(value, str) else value


def installed_package(source: Path, place: str, files: Mapping[str, str]) -> Callable[[str], ModuleType]:
    """A package that a role installs, with files that it writes: gives its modules by their names."""
    folder = Path(place) / source.name
    shutil.copytree(source, folder)
    for name, text in files.items():
        (folder / name).write_text(text)
    sys.path.insert(0, place)
    return lambda name: importlib.import_module(f"{source.name}.{name}")
