"""The count of manifests that come across, on those made here and on files."""

from pathlib import Path

from platformctl.jobs.model import Target
from tests.cases.case import table
from tests.cases.made import TWINS
from tests.cases.manifests import counted


def test_all_that_are_made_here_come_across_to_kubernetes() -> None:
    found = counted(None)
    assert {case.file for case in found if case.target is Target.KUBERNETES and case.accepted} == {*TWINS}
    all_of_them = f"{len(TWINS)} of {len(TWINS)} (100.0 %)"
    assert f"batch-v1 on kubernetes: accepted without edit or option {all_of_them}" in table(found)


def test_a_refusal_names_what_refuses(tmp_path: Path) -> None:
    pod = "{containers: [{name: a, image: b}], hostPID: true}"
    job = f"apiVersion: batch/v1\nkind: Job\nspec: {{template: {{spec: {pod}}}}}\n"
    (tmp_path / "a.yaml").write_text(job)
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Pod\n")
    shown = table(counted(tmp_path))
    assert "batch-v1 on slurm: accepted without edit or option 0 of 2 (0.0 %)" in shown
    assert "1 (alone   1)  spec.template.spec.hostPID" in shown
