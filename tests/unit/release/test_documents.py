"""What documents and messages tell people to type works for them."""

import re

import pytest

from tests.unit.release.conftest import ROOT, files_of

_TEXTS = {
    name: (ROOT / name).read_text()
    for name in files_of(ROOT)
    if name.endswith((".md", ".py", ".yml", ".yaml", ".j2", ".txt", ".tpl", ".sh", "Makefile"))
    and not name.startswith("tests/")
    and (ROOT / name).is_file()
}
# A distribution by its name alone, which an installer looks up in a package index.
_FROM_INDEX = re.compile(
    r"(?:\binstall|\bpipx run|\buvx|\buv tool run)(?: -\S+)* "
    r"(?:[\w.-]+ )*?[\"']?(?:research-)?platformctl(?![\w/.@])"
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pipx install platformctl", True),
        ("pip install --user platformctl==0.1.0", True),
        ("python -m pip install 'platformctl[molecule]'", True),
        ("uv tool install research-platformctl", True),
        ("uvx platformctl", True),
        ("pipx uninstall platformctl", False),
        ("pipx install ./dist/*.whl", False),
        ("pipx install git+https://git.example.org/platformctl", False),
        ("pip install platformctl/", False),
        ("pip install molecule; pipx inject research-platformctl molecule", False),
    ],
)
def test_an_installation_from_an_index_is_told_from_others(line: str, found: bool) -> None:
    assert bool(_FROM_INDEX.search(line)) is found


def test_nobody_is_told_to_install_what_another_project_publishes() -> None:
    assert "README.md" in _TEXTS
    assert [name for name, text in _TEXTS.items() if _FROM_INDEX.search(text)] == []


def test_messages_name_pages_by_the_command_that_prints_them() -> None:
    named = {
        page
        for name, text in _TEXTS.items()
        for page in re.findall(r"platformctl docs ([a-z-]+)", text)
        if not name.startswith("docs/")
    }
    assert {"jobs", "sbatch", "variables"} <= named
    assert [page for page in named if not (ROOT / f"docs/{page}.md").is_file()] == []


def test_no_message_names_a_file_that_only_a_checkout_has() -> None:
    """Somebody who has the wheel alone would look for it in vain."""
    shipped = ("platformctl/", "playbooks/", "roles/", "charts/", "inventories/")
    path = re.compile(r"(?<![\w/.])docs/[\w-]+\.md")
    found = {name: path.findall(text) for name, text in _TEXTS.items() if name.startswith(shipped)}
    assert found
    assert {name: pages for name, pages in found.items() if pages} == {}
