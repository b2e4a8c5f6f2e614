"""The count of cases: what it is made of, and what it prints."""

from pathlib import Path

import pytest

from tests.cases import manifests
from tests.cases.__main__ import counted, main
from tests.cases.case import Case, share, table
from tests.cases.scripts import case_of


def test_what_is_made_here_is_accepted_but_for_what_slurm_has_not() -> None:
    cases = counted(None)
    assert len(cases) > 100
    refused = [case for case in cases if not case.accepted]
    # What a pod has and a job on Slurm has not.
    on_slurm = {
        *("ephemeral", "image", "variables", "several", "names", "probes", "main one of two"),
        *("probes by command", "two volumes", "long name", "amounts"),
    }
    assert {(case.kind, case.target) for case in refused} == {(manifests.KIND, "slurm")}
    assert {case.file for case in refused} <= on_slurm


def test_a_folder_is_counted_and_reasons_are_general(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sbatch").mkdir()
    (tmp_path / "sbatch" / "a.sh").write_text("#!/bin/sh\n#SBATCH -n 2\n:\n")
    (tmp_path / "sbatch" / "b.sh").write_bytes(
        "#!/bin/sh\n#SBATCH --time='nie' # \u00fc\n:\n".encode("latin-1")
    )
    assert main([str(tmp_path), "--files"]) == 0
    shown = capsys.readouterr().out
    assert "sbatch on slurm: accepted without edit or option 1 of 2 (50.0 %)" in shown
    assert "1 (alone   1)  --time: '...' is not a time" in shown
    assert "b.sh: line 2: --time: 'nie'" in shown
    assert main([str(tmp_path / "sbatch")]) == 2


def test_kinds_and_targets_are_counted_by_themselves() -> None:
    cases = [Case("batch-v1", "a", "slurm", ("x",)), Case("batch-v1", "a", "kubernetes"), case_of("s", "no")]
    assert [line for line in table(cases).splitlines() if not line.startswith(" ")] == [
        "batch-v1 on slurm: accepted without edit or option 0 of 1 (0.0 %)",
        "batch-v1 on kubernetes: accepted without edit or option 1 of 1 (100.0 %)",
        "sbatch on slurm: accepted without edit or option 0 of 1 (0.0 %)",
    ]
    assert share([]) == "none"
