"""Rules for the files of all roles that no linter knows."""

import re

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
