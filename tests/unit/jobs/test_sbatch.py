"""Scripts of sbatch as Jobs: realistic ones against committed results, and the rules one by one."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs import sbatch_values, slurm
from platformctl.jobs.fields import Handling
from platformctl.jobs.manifest import as_yaml
from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_options import ALIASES, BY_NAME, OPTIONS, Takes, markdown_table
from platformctl.jobs.sbatch_output import Naming, redirect
from platformctl.jobs.sbatch_script import Mistake, read_script, split_words
from platformctl.paths import data_dir
from tests.unit.jobs.test_translation import ALICE, TOKEN

FOLDER = Path(__file__).parent / "sbatch"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.sh"))
PIECES = [
    "#SBATCH",
    "--",
    "=",
    '"',
    "'",
    "\\",
    "\n",
    "\r",
    "n=2",
    "-t",
    "mem",
    "output",
    "%j",
    "#",
    "/bin/sh",
    "<<",
]
IDS = {"4711": "left-x7k2p", "4712": "right-2v9dl", "4713": "log-9xw4t"}


def imported(*directives: str, shebang: str = "#!/bin/bash", **options: Any) -> Imported:
    """The import of a script with these directives."""
    found = convert(
        "\n".join([shebang, *(f"#SBATCH {line}" for line in directives), "hostname", ""]), "a.sh", **options
    )
    assert isinstance(found, Imported), found
    return found


def mistakes(*directives: str, shebang: str = "#!/bin/bash") -> list[str]:
    """What stands against a script with these directives, as lines."""
    found = convert("\n".join([shebang, *(f"#SBATCH {line}" for line in directives), "hostname", ""]), "a.sh")
    assert isinstance(found, list), found
    return [str(mistake) for mistake in found]


def spec(*directives: str, **options: Any) -> dict[str, Any]:
    """The Job's fields beside the script and the target."""
    found = dict(imported(*directives, **options).job["spec"])
    del found["script"], found["target"]
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_becomes_what_is_committed(name: str) -> None:
    text = (FOLDER / f"{name}.sh").read_text()
    result = convert(text, f"{name}.sh", IDS)
    if isinstance(result, Imported):
        shown = as_yaml({"job": result.job, "notes": list(result.notes)})
    else:
        shown = as_yaml({"mistakes": [str(mistake) for mistake in result]})
    path = FOLDER / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text(), f"see {path.name}; UPDATE_GOLDEN=1 writes it again"


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_imported_job_is_accepted_and_keeps_its_lines(name: str) -> None:
    text = (FOLDER / f"{name}.sh").read_text()
    result = convert(text, f"{name}.sh", IDS)
    if isinstance(result, list):
        return
    assert isinstance(parse(result.job["spec"]), JobSpec)
    before, after = text.split("\n"), result.job["spec"]["script"].split("\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert new.endswith(old)


def test_the_table_knows_every_option_of_sbatch() -> None:
    lines = (FOLDER / "options-24.11.txt").read_text().splitlines()
    offered: dict[str, set[bool]] = {}
    for line in lines:
        if not line.startswith("# "):
            offered.setdefault(line.strip("-= "), set()).add(line.endswith("="))
    kinds = {(True,): Takes.VALUE, (False,): Takes.NOTHING, (False, True): Takes.OPTIONAL}
    assert {name: kinds[tuple(sorted(forms))] for name, forms in offered.items()} == {
        option.name: option.takes for option in OPTIONS
    }


def test_the_table_knows_the_short_forms() -> None:
    lines = (FOLDER / "short-24.11.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if not line.startswith("# ")]
    offered = {name: short for short, name in pairs}
    assert {option.name: option.short for option in OPTIONS if option.short} == offered


def test_every_option_that_is_not_refused_is_carried_out() -> None:
    source = (data_dir() / "platformctl" / "jobs" / "sbatch.py").read_text()
    silent = {"parsable", "quiet", "verbose"}
    for option in OPTIONS:
        if option.handling is not Handling.REFUSED and option.name not in {*silent, *ALIASES}:
            assert f'"{option.name}"' in source, option.name


def test_the_documentation_has_the_table_as_it_is() -> None:
    assert markdown_table() in (data_dir() / "docs" / "sbatch.md").read_text(), (
        "write `python -m platformctl.jobs.sbatch_options` into docs/sbatch.md"
    )


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.handling is Handling.REFUSED])
def test_what_is_refused_names_its_line_and_says_what_to_do(option: Any) -> None:
    value = "" if option.takes is Takes.NOTHING else "=1"
    (found,) = mistakes(f"--{option.name}{value}")
    canonical = ALIASES.get(option.name, option.name)
    assert found == f"line 2: --{canonical}: {BY_NAME[canonical].note}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--a=1 -n 2", ["--a=1", "-n", "2"]),
        ("\t--a='x y'\\ z.out", ["--a=x y z.out"]),
        ('-J a"b c"d # --mem=5', ["-J", "ab cd"]),
        ('--comment="" -n2', ["--comment=", "-n2"]),
        ('"it\'s" a\\"b\\\\', ["it's", 'a"b\\']),
        ("'#' x#y", ["#", "x"]),
        ("a\\\tb \\", ["a", "b"]),
        ("'a\\\tb' \\\vc", ["a\tb"]),
        ("  ", []),
        ("a '' b \"", ["a"]),
        ("a\v\fb\u00a0c\x1cd", ["a", "b\u00a0c\x1cd"]),
        ("a: '':b ':c'", ["a:", ":b", ":c"]),
        ("-J 'hetjob' a hetjobs", ["-J", "hetjob", "a", "hetjobs"]),
    ],
)
def test_words_are_split_as_sbatch_splits_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-n 2 'a", "a quote (') is not closed"),
        ("--comment :a", "a word begins with a colon, which sbatch refuses: put it in quotes"),
        (" PackJob\t-n 2", "a job of several parts (hetjob) is not supported: submit a Job for each part"),
    ],
)
def test_lines_that_sbatch_refuses_or_begins_another_job_with(line: str, message: str) -> None:
    assert mistakes(line) == [f"line 2: {message}"]


def test_the_old_form_of_a_directive_counts_too() -> None:
    job = imported("-n 2\n#SLURM --account=physics\n\u00a0\n#SLURM -n 9").job["spec"]
    assert (job["tasks"], job["account"]) == (2, "physics")
    assert job["script"].splitlines()[2] == "##SLURM --account=physics"


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        (("-N2", "-n 8"), {"nodes": 2, "tasks": 8}),
        (("--nodes 2", "--ntasks=8"), {"nodes": 2, "tasks": 8}),
        (("-QHn4",), {"tasks": 4, "suspend": True}),
        (("--accou=3", "--part x"), {"account": "3", "queue": "x"}),
        (("--nodes=3-3",), {"nodes": 3}),
        (("--account", "physics -n 2"), {"account": "physics", "tasks": 2}),
        (("-n 2", "-n 3"), {"tasks": 3}),
        (("-n 2 --",), {"tasks": 2}),
        (("-N2 --tasks-per-node=4",), {"nodes": 2, "tasksPerNode": 4, "tasks": 8}),
        (("--tasks-per-node=4",), {"tasksPerNode": 4, "tasks": 4}),
    ],
)
def test_every_way_to_write_an_option(directives: tuple[str, ...], expected: dict[str, Any]) -> None:
    assert spec(*directives) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", "01:30:00"),
        ("0:30", "00:00:30"),
        ("2:3:4", "02:03:04"),
        ("1-12", "1-12:00:00"),
        ("1-12:30", "1-12:30:00"),
        ("2-00:00:01", "2-00:00:01"),
        ("100:00:00", "4-04:00:00"),
    ],
)
def test_times_in_all_formats(text: str, expected: str) -> None:
    assert spec(f"--time={text}") == {"walltime": expected}


@pytest.mark.parametrize(
    ("directives", "resources"),
    [
        (("--mem=1500",), {"memory": "1500Mi"}),
        (("--mem=1G",), {"memory": "1024Mi"}),
        (("--mem=100K",), {"memory": "1Mi"}),
        (("--mem=1T", "-N2", "-n8"), {"memory": "262144Mi"}),
        (("--mem=10M", "--ntasks-per-node=3"), {"memory": "3495253"}),
        (("--mem=8G", "-n2 --ntasks-per-node=4"), {"memory": "4096Mi"}),
        (("--mem=8G", "-N2 -n2 --ntasks-per-node=4"), {"memory": "8192Mi"}),
        (("--mem=8G", "-n6 --ntasks-per-node=4"), {"memory": "2048Mi"}),
        (("--gres=gpu:4", "-n2 --ntasks-per-node=4"), {"nvidia.com/gpu": "2"}),
        (("--mem=4kB",), {"memory": "1Mi"}),
        (("--mem-per-cpu=2G", "-c4"), {"cpu": "4", "memory": "8192Mi"}),
        (("--mem-per-cpu=2G",), {"memory": "2048Mi"}),
        (("--mem=3M", "-N2"), {"memory": "3Mi"}),
        (("--gres=gpu",), {"nvidia.com/gpu": "1"}),
        (("--gpus-per-task=2", "-n4"), {"nvidia.com/gpu": "2"}),
        (("--gpus-per-task=2", "-n4", "--gpus=8"), {"nvidia.com/gpu": "2"}),
        (("--gpus=3",), {"nvidia.com/gpu": "3"}),
        (("--gpus=4", "-N2"), {"nvidia.com/gpu": "2"}),
        (("--gres=gres/gpu:4", "-N2", "-n4"), {"nvidia.com/gpu": "2"}),
        (("--gpus-per-node=2", "--mem-per-gpu=1G"), {"memory": "2048Mi", "nvidia.com/gpu": "2"}),
        (("-G8", "-n4", "--cpus-per-gpu=3"), {"cpu": "6", "nvidia.com/gpu": "2"}),
        (
            ("--tres-per-task=cpu=4,mem=2G,gres/gpu:1",),
            {"cpu": "4", "memory": "2048Mi", "nvidia.com/gpu": "1"},
        ),
    ],
)
def test_amounts_are_those_of_one_task(directives: tuple[str, ...], resources: dict[str, str]) -> None:
    assert spec(*directives)["resources"] == resources


@pytest.mark.parametrize(
    ("directives", "words"),
    [
        (("--mem=1G", "-n4"), "line 2: --mem: is for each node"),
        (("--gres=gpu:2", "-n2"), "line 2: --gres: is for each node"),
        (
            ("--gpus-per-task=1", "--gpus=3"),
            "line 3: --gpus: is not what 1 tasks have together: give --ntasks",
        ),
        (("--gpus=3", "-N2"), "line 2: --gpus: 3 GPUs cannot be shared out to 2 tasks"),
        (("-n\u0663",), "is not a number above zero"),
        (("--mem=1G --mem-per-cpu=1G",), "cannot be given with --mem"),
        (("--gres=gpu:3", "-N1 -n2"), "3 GPUs of a node cannot be shared out to 2 tasks"),
        (("--gpus=3", "-n2"), "3 GPUs cannot be shared out to 2 tasks"),
        (("--gres=gpu:a100:2",), "write 2, and name the queue with a100"),
        (("--gres=gpu:a100",), "write 1, and name the queue with a100"),
        (("--mem-per-gpu=1G",), "needs a number of GPUs"),
        (("--cpus-per-gpu=2",), "needs a number of GPUs"),
        (("--gres=nvme:1",), "only gpu"),
        (("--tres-per-task=license/x:1",), "only cpu, mem and gres/gpu"),
        (("--time=1-",), "is not a time"),
        (("--time=400-00",), "366 days"),
        (("-n0",), "is not a number above zero"),
        (("--mem=",), "is not an amount of memory"),
        (("--mem=4B",), "is not an amount of memory"),
        (("--array=0-99999",), "--array"),
        (("--array=x",), "is not a list of indices"),
        (("--ntasks=2", "-N 4"), "line 2: --ntasks: must be at least nodes"),
        (("--kill-on-invalid-dep=no",), "always refused"),
        (("--dependency=afterok:1?afterok:2",), "not for any of them"),
        (("--dependency=afterok:12",), "--job 12=NAME"),
        (("--dependency=after:12+5",), "is not the id of a job"),
        (("--dependency=aftercorr:12",), "only after, afterany, afternotok, afterok"),
        (("--export=PATH",), "would come from the submitting shell"),
        (("--export=A=1,",), "would come from the submitting shell"),
        (("--export=ALL",), "would come from the submitting shell"),
        (("--open-mode=x", "-o y"), "neither append nor truncate"),
        (("--output=%a",), "in arrays only"),
        (("--output=%5",), "%5 is a width without a number behind it"),
        (("--output=007",), "is only a number"),
        (("--output=",), "names no file"),
        (("--comment='\x07'",), "cannot be printed"),
        (("--hold=yes",), "--hold takes no value"),
        (("--exclusive user",), "'user' is not an option of sbatch"),
        (("-n",), "-n needs a value"),
        (("--ntasks",), "--ntasks needs a value"),
        (("-Z",), "-Z is not an option of sbatch"),
        (("--tim=1",), "--tim could be any of --time, --time-min"),
        (("--unheard-of=1",), "--unheard-of is not an option of sbatch 24.11"),
        (("-- -n 2",), "'-n' is not an option"),
        (("'-n 2",), "a quote (') is not closed"),
    ],
)
def test_what_is_wrong_is_said_by_line(directives: tuple[str, ...], words: str) -> None:
    assert any(words in found and found.startswith("line ") for found in mistakes(*directives)), mistakes(
        *directives
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NONE", {}),
        ("A=1,B=x=y,A=2", {"A": "2", "B": "x=y"}),
        ("'A=1,2','B=\"3,\"'", {"A": "1,2", "B": '"3,"'}),
        ("A='1,B=2'", {"A": "'1,B=2'"}),
        ("\"A=1\",B=''", {"A": "1", "B": "''"}),
        ("A=it's,B=1", {"A": "it's,B=1"}),
    ],
)
def test_variables_are_taken_apart_where_no_quote_is_open(text: str, expected: dict[str, str]) -> None:
    assert sbatch_values.exports(text) == expected


@given(
    nodes=st.none() | st.integers(1, 4),
    tasks=st.none() | st.integers(1, 12),
    each=st.none() | st.integers(1, 6),
    memory=st.integers(1, 10_000),
    gpus=st.integers(1, 12),
)
def test_a_node_has_what_sbatch_asks_for(
    nodes: int | None, tasks: int | None, each: int | None, memory: int, gpus: int
) -> None:
    """However it is shared out among tasks in between."""
    given = {"nodes": nodes, "ntasks": tasks, "ntasks-per-node": each, "mem": memory, "gpus-per-node": gpus}
    text = "".join(f"#SBATCH --{name}={value}\n" for name, value in given.items() if value)
    found = convert(f"#!/bin/sh\n{text}hostname\n", "a.sh")
    if isinstance(found, list):
        unknown = (tasks or 1) > 1 and not nodes and not each
        too_few_or_many = tasks and (tasks < (nodes or 1) or tasks > (nodes or 12) * (each or 12))
        assert unknown or too_few_or_many or any("cannot be shared out" in str(mistake) for mistake in found)
        return
    job = parse(found.job["spec"])
    assert isinstance(job, JobSpec)
    asked = slurm.submission(job, ALICE, "a", TOKEN, "v0.0.42")["job"]
    assert asked["memory_per_node"]["number"] == memory
    assert asked["tres_per_node"] == f"gres/gpu:{gpus}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "interpreter"),
        ("\n#SBATCH -n 2\n", 1, "interpreter"),
        ("#!/bin/sh\r\n#SBATCH -n 2\r\n", 1, "dos2unix"),
        ("#!/bin/sh\n#SBATCHX\nhostname\n", 2, "'X' is not an option"),
        ("#!/bin/sh\n#BSUB -n 2\nhostname\n", 2, "--ignore-pbs"),
        ("#!/bin/sh\ncat <<END\n#SBATCH -n 2\nEND\n", 3, "here-document"),
    ],
)
def test_scripts_that_cannot_be_imported(text: str, line: int, words: str) -> None:
    found = convert(text, "a.sh")
    assert isinstance(found, list)
    assert [(mistake.line, words in mistake.message) for mistake in found] == [(line, True)]


def test_only_directives_before_the_first_command_count() -> None:
    remarks = "\n # x\n #SBATCH -n 3\n#sbatch -n 4\n##SBATCH -n 5\n"
    text = f"#!/bin/sh\n#SBATCH -n 2\n{remarks}hostname\n#SBATCH -n 6\n"
    found = convert(text, "a.sh")
    assert isinstance(found, Imported)
    assert found.job["spec"]["tasks"] == 2
    assert found.job["spec"]["script"] == re.sub("(?m)^#SBATCH", "##SBATCH", text)


def test_lines_of_other_schedulers_are_left_alone_when_asked() -> None:
    found = convert("#!/bin/sh\n#SBATCH --ignore-pbs\n#PBS -l nodes=2\nhostname\n", "a.sh")
    assert isinstance(found, Imported)
    assert "##PBS -l nodes=2" in found.job["spec"]["script"]


def test_options_are_left_out_when_a_person_says_so() -> None:
    found = imported("--mail-user=a --mail-type=END", "-n 2", without=("mail-user", "mail-type"))
    assert found.job["spec"]["tasks"] == 2
    assert [note for note in found.notes if "left out" in note] == [
        "line 2: --mail-user is left out, as asked",
        "line 2: --mail-type is left out, as asked",
    ]


@pytest.mark.parametrize(("kind", "told"), [("afternotok", True), ("after", True), ("afterany", False)])
def test_what_a_cancelled_job_is_to_those_that_wait_for_it_is_told(kind: str, told: bool) -> None:
    notes = imported(f"--dependency={kind}:4711", job_names=IDS).notes
    assert any("is cancelled" in note for note in notes) is told


def test_the_target_is_chosen() -> None:
    found = imported("-n 2", target="auto")
    assert found.job["spec"]["target"] == "auto"
    assert "no srun" in found.notes[-1]


@pytest.mark.parametrize(
    "value", ["a b", "it's", "$(touch hacked)", "`id`", 'q"q', "a;b", "-x", "é", "*", "a\\\\b", "%%", "~"]
)
def test_emulated_values_are_one_word_of_a_shell(value: str, tmp_path: Path) -> None:
    """The script runs, and its output is in the file that the directive named."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    found = imported(f"--output=out-{quoted}", f"--export=WHO={quoted}", shebang="#!/bin/sh")
    script = tmp_path / "script"
    script.write_text(found.job["spec"]["script"].replace("hostname", 'printf %s "$WHO"'))
    subprocess.run(["sh", script], cwd=tmp_path, check=True, capture_output=True)
    name = f"out-{value}".replace("%%", "%").replace("\\\\", "\\")
    assert {path.name for path in tmp_path.iterdir()} == {"script", name}
    assert (tmp_path / name).read_text() == value


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("None", "/dev/null"),
        (r"a\%j", "a%j"),
        (r"\\\%j\ ", r"'\%j '"),
        ("%s.%J", 'batch."${SLURM_JOB_ID:-$HOSTNAME}"'),
    ],
)
def test_a_name_as_a_word_of_a_shell(value: str, word: str) -> None:
    assert redirect(value, Naming("train", in_array=False)) == word


@pytest.mark.parametrize("mode", ["", "--open-mode=append"])
def test_what_several_write_into_one_file_is_all_there(tmp_path: Path, mode: str) -> None:
    """Slurm opens files for appending, whether it empties them before or not."""
    found = imported(f"--output=both --error=both {mode}")
    script = tmp_path / "script"
    lines = "echo one; echo two >&2; echo three; echo four >&2"
    script.write_text(found.job["spec"]["script"].replace("hostname", lines))
    both = tmp_path / "both"
    both.write_text("before\n")
    subprocess.run(["bash", script], cwd=tmp_path, check=True)
    assert both.read_text() == ("before\n" if mode else "") + "one\ntwo\nthree\nfour\n"


def test_patterns_name_the_files_that_sbatch_would_make(tmp_path: Path) -> None:
    found = imported(
        "-J train --array=1-3",
        "-o %x-%6A_%a-%3b%%.out -e %u/%6j.err",
        f"-D {tmp_path}",
        shebang="#!/bin/bash",
    )
    (tmp_path / "alice").mkdir()
    script = tmp_path / "script"
    script.write_text(found.job["spec"]["script"].replace("hostname", "echo out; echo err >&2"))
    environment = {
        "PATH": "/usr/bin:/bin",
        "USER": "alice",
        "KFOUNDRY_INDEX": "13",
        "SLURM_JOB_ID": "4720",
        "SLURM_ARRAY_JOB_ID": "4711",
    }
    subprocess.run(["bash", script], check=True, env=environment)
    assert (tmp_path / "train-004711_13-003%.out").read_text() == "out\n"
    assert (tmp_path / "alice" / "004720.err").read_text() == "err\n"
    on_kubernetes = {
        "PATH": "/usr/bin:/bin",
        "USER": "alice",
        "KFOUNDRY_INDEX": "0",
        "HOSTNAME": "train-pod-x",
    }
    subprocess.run(["bash", script], check=True, env=on_kubernetes)
    assert (tmp_path / "train-train-pod-x_0-000%.out").exists()


@pytest.mark.parametrize(
    ("first", "shell"),
    [
        ("#!/bin/bash -l", True),
        ("#!/usr/bin/env -S bash -e", True),
        ("#! /bin/zsh", True),
        ("#!/usr/bin/perl", False),
    ],
)
def test_only_shells_can_redirect(first: str, shell: bool) -> None:
    found = convert(f"{first}\n#SBATCH -o x\n:\n", "a.sh")
    assert isinstance(found, Imported) is shell


@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    )
)
def test_no_text_is_ever_read_as_something_else(parts: list[str]) -> None:
    text = "#!/bin/sh\n" + " ".join(parts)
    found = convert(text, "a.sh")
    if isinstance(found, list):
        assert all(isinstance(mistake, Mistake) and mistake.line >= 1 for mistake in found)
        return
    script = found.job["spec"]["script"]
    assert script.count("\n") == text.count("\n")
    assert not re.search("(?m)^#SBATCH", script)
    assert read_script(script).directives == ()
