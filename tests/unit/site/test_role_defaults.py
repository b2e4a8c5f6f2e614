"""Values that code takes from where the roles declare them."""

import re
from pathlib import Path

import pytest
import yaml

from platformctl import engine, paths
from platformctl.site.role_defaults import default

FILES = sorted((paths.data_dir() / "roles").glob("*/defaults/main.yml"))


def test_a_default_is_what_its_role_declares() -> None:
    for path in FILES:
        for name, value in yaml.safe_load(path.read_text()).items():
            if "{{" not in str(value):
                assert default(name, type(value)) == value, name


def test_what_is_no_default_or_no_value_here_is_refused() -> None:
    with pytest.raises(KeyError):
        default("slurm_rest_prot", int)
    with pytest.raises(KeyError):
        default("slurm_node_image_registry", str)  # made by Jinja
    with pytest.raises(TypeError, match="slurm_rest_port is 6820, not of type str"):
        default("slurm_rest_port", str)


def test_nobody_changes_it_for_others() -> None:
    default("slurm_partitions", list)[0]["name"] = "mine"
    assert default("slurm_partitions", list)[0]["name"] == "main"


def test_no_variable_is_declared_by_two_roles() -> None:
    names = [name for path in FILES for name in yaml.safe_load(path.read_text())]
    assert len(names) == len(set(names))


def test_the_engine_repeats_no_port_of_a_role() -> None:
    ports = {
        value
        for path in FILES
        for name, value in yaml.safe_load(path.read_text()).items()
        if name.endswith("_port") and isinstance(value, int)
    }
    assert len(ports) == 5
    repeated = [
        f"{path.name}: {port}"
        for path in Path(engine.__file__).parent.rglob("*.py")
        for port in ports
        # Not in a text for people, such as https://HOST:6820.
        if re.search(rf"(?<![\w:.]){port}(?![\w.])", path.read_text())
    ]
    assert repeated == []
