"""Rules for the files of all roles that no linter knows."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from platformctl import paths

ROLES = paths.data_dir() / "roles"
MANAGED = re.compile(r"\{\{\s*ansible_managed\s*\}\}")


def test_what_needs_no_templating_is_a_file() -> None:
    templates = [path for path in ROLES.glob("*/templates/**/*") if path.is_file() and path.suffix != ".pyc"]
    assert templates
    plain = [
        str(path.relative_to(ROLES))
        for path in templates
        if not re.search(r"\{\{|\{%", MANAGED.sub("", path.read_text()))
    ]
    assert plain == [], "move these to files/"


# A reset (reset.yml) goes on after a failure, which the engine reports all the same.
HIDING = ("no_log", "ignore_errors", "ignore_unreachable")
TASK_FILES = sorted(
    path
    for path in (
        *paths.data_dir().glob("playbooks/*.yml"),
        *ROLES.glob("*/tasks/*.yml"),
        *ROLES.glob("*/handlers/*.yml"),
    )
)


def _entries(content: Any) -> Iterator[dict[str, Any]]:
    """All plays, blocks and tasks of a file."""
    for entry in content or []:
        yield entry
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from _entries(entry.get(key))


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(paths.data_dir())))
def test_no_task_hides_its_failure(path: Any) -> None:
    """A secret is an argument with no_log of its module (secret_command, host_files): words are shown."""
    allowed = {"ignore_errors", "ignore_unreachable"} if path.name == "reset.yml" else set()
    for entry in _entries(yaml.safe_load(path.read_text())):
        hiding = {name for name in HIDING if entry.get(name)} - allowed
        if entry.get("failed_when") in (False, "false"):
            hiding.add("failed_when: false")
        assert not hiding, f"{entry.get('name')}: {', '.join(hiding)}"
