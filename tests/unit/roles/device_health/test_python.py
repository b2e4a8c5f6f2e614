"""The service runs on what hosts have: the standard library of Python 3.9 or newer."""

import ast
import sys
from pathlib import Path

import pytest

from tests.unit.roles.device_health.package import SOURCE

MODULES = [SOURCE.parent / "device_health.py", *sorted(SOURCE.glob("*.py"))]
# Keywords that calls have since Python 3.10, by the function's name.
NEWER = {"zip": {"strict"}, "dataclass": {"slots", "kw_only", "weakref_slot"}, "field": {"kw_only"}}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_can_be_imported_by_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    first = next((node for node in tree.body if isinstance(node, ast.ImportFrom)), None)
    # Without it `X | None` in an annotation is evaluated, which fails there.
    assert first is not None
    assert (first.module, first.names[0].name) == ("__future__", "annotations")
    used = {
        (node.func.id, keyword.arg)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        for keyword in node.keywords
    }
    assert used.isdisjoint((name, keyword) for name, keywords in NEWER.items() for keyword in keywords)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_needs_only_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.partition(".")[0] in {SOURCE.name, *sys.stdlib_module_names}


def test_commands_may_print_what_is_no_text() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess."):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("errors") == "'replace'", f"{path.name}, line {node.lineno}"
