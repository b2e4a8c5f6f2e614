"""The job router's README says where each template is and why each admission policy is there."""

import re
from pathlib import Path

from platformctl.paths import data_dir

CHART = data_dir() / "charts" / "job-router"
TEMPLATES = CHART / "templates"
_POLICY = re.compile(r"^kind: (Mutating|Validating)AdmissionPolicy\nmetadata:\n  name: (\S+)$", re.MULTILINE)
_MARK = re.compile(r"\((mutating|validating)\)")


def rows(head: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    text = (CHART / "README.md").read_text().split(f"\n## {head}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def policies(folder: Path) -> set[tuple[str, str, str]]:
    """Kind, name and file of every admission policy."""
    return {
        (kind.lower(), name, path.name)
        for path in folder.rglob("*.yaml")
        for kind, name in _POLICY.findall(path.read_text())
    }


def test_every_policy_has_its_reason_and_its_file() -> None:
    said = set()
    for policy, file, effect, reason in rows("Admission policies"):
        assert min(len(effect), len(reason)) > 20
        mark = _MARK.search(policy)
        said.add((mark[1] if mark else "validating", policy.split("`")[1], file.strip("`")))
    assert said == policies(TEMPLATES)
    assert policies(TEMPLATES) == policies(TEMPLATES / "admission")


def test_every_refusal_says_why() -> None:
    for path in (TEMPLATES / "admission").glob("*.yaml"):
        validations = path.read_text().partition("\n  validations:\n")[2].partition("\n---\n")[0]
        refusals = re.split(r"^    - ", validations, flags=re.MULTILINE)[1:]
        assert [text for text in refusals if not re.search(r"^      message", text, re.MULTILINE)] == []


def test_every_folder_of_templates_is_in_the_table() -> None:
    said = {place.strip("`") for place, _ in rows("Where things are")}
    there = {path.relative_to(CHART) for path in (*TEMPLATES.iterdir(), CHART / "files" / "definitions")}
    assert said == {
        f"{path}/" if (CHART / path).is_dir() else str(path)
        for path in there
        if path.name not in ("_helpers.tpl", "NOTES.txt")
    }
