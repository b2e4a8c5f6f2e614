"""The API's words stand in one module, and the charts write the same ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

import platformctl
from platformctl import paths, vocabulary

PACKAGE = Path(platformctl.__file__).parent
CHART = paths.data_dir() / "charts" / "job-router"
# Words that users and charts write and that are looked for in the code.
WORDS = re.compile(r"kfoundry\.io|kfoundry-|platform:users")


def test_no_other_module_spells_a_word_of_the_api() -> None:
    spelled = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "vocabulary.py"
        for node in _texts(ast.parse(path.read_text()))
        if WORDS.search(node.value)
    ]
    assert spelled == []


def test_the_vocabulary_is_outside_the_layers() -> None:
    imported = {
        node.module
        for node in ast.walk(ast.parse((PACKAGE / "vocabulary.py").read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert imported == {"enum"}


def test_the_charts_write_annotations_and_labels_of_the_vocabulary() -> None:
    known = {value for value in vars(vocabulary).values() if isinstance(value, str)}
    written = {
        word
        for path in CHART.rglob("*.yaml")
        for word in re.findall(r"\bkfoundry\.io/[a-z-]+\b", path.read_text())
    } - {vocabulary.API_VERSION, "kfoundry.io/v"}
    assert written, "the templates are not where this test looks"
    assert written - known == set()


def test_the_definition_has_the_phases_of_the_vocabulary() -> None:
    texts = [path.read_text() for path in CHART.rglob("*.yaml")]
    found = [
        match[1] for text in texts for match in re.finditer(r"phase: \{type: string, enum: (\[.*?\])\}", text)
    ]
    assert [yaml.safe_load(names) for names in found] == [[str(phase) for phase in vocabulary.Phase]]


def _texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """String constants that are no docstring."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node
