"""Scripts of sbatch as Jobs: realistic ones against committed results, and the rules one by one."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs import slurm
from platformctl.jobs.fields import Handling
from platformctl.jobs.manifest import as_yaml
from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_options import ALIASES, BY_NAME, OPTIONS, Takes, markdown_table
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
    """The Job's fields beside the script, the target, and what every import has."""
    found = dict(imported(*directives, **options).job["spec"])
    del found["script"], found["target"]
    block = dict(found.pop("slurm"))
    for name in ("jobName", "loginEnvironment"):
        block.pop(name, None)
    return found | ({"slurm": block} if block else {})


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
    """By its field of spec.slurm, or by name in the module."""
    source = (data_dir() / "platformctl" / "jobs" / "sbatch.py").read_text()
    silent = {"parsable", "quiet", "verbose", "wait"}
    for option in OPTIONS:
        by_table = option.block is not None
        if (
            option.handling is not Handling.REFUSED
            and not by_table
            and option.name not in {*silent, *ALIASES}
        ):
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
        (" PackJob\t-n 2", ["-n", "2"]),
    ],
)
def test_words_are_split_as_sbatch_splits_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-n 2 'a", "a quote (') is not closed"),
        ("--comment :a", "a word begins with a colon, which sbatch refuses: put it in quotes"),
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
        (("--nodes=2-4",), {"slurm": {"nodes": "2-4"}}),
        (("-w node[1-3,7]",), {"nodes": 4, "slurm": {"nodelist": "node[1-3,7]"}}),
        (("--ntasks=2", "-N 4"), {"tasks": 2, "nodes": 2}),
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
        (("--mem=4kB",), {"memory": "1Mi"}),
        (("--gres=gpu",), {"nvidia.com/gpu": "1"}),
        (("--gres=gres/gpu:4", "-N1", "-c 3"), {"cpu": "3", "nvidia.com/gpu": "4"}),
    ],
)
def test_amounts_of_a_single_task_are_resources_of_the_job(
    directives: tuple[str, ...], resources: dict[str, str]
) -> None:
    found = spec(*directives)
    assert found["resources"] == resources
    assert "slurm" not in found


@pytest.mark.parametrize(
    ("directives", "block"),
    [
        (("--mem=0",), {"mem": "0"}),
        (("--mem=1G", "-n4"), {"mem": "1G"}),
        (("--mem=3M", "-N2"), {"mem": "3M"}),
        (("--mem-per-cpu=2G", "-c4"), {"memPerCpu": "2G"}),
        (("--mem-per-gpu=1G", "-G8"), {"memPerGpu": "1G", "gpus": "8"}),
        (("--gres=gpu:4", "-n2 --ntasks-per-node=4"), {"gres": "gpu:4"}),
        (("--gres=gpu:a100:2",), {"gres": "gpu:a100:2"}),
        (("--gres=scratch:50G,gpu:1",), {"gres": "scratch:50G,gpu:1"}),
        (("--gres=gpu:0",), {}),
        (("--gres=none",), {}),
        (("--gpus-per-task=kind1:2", "-n4", "--gpus=8"), {"gpusPerTask": "kind1:2", "gpus": "8"}),
        (("--gpus-per-node=2", "--cpus-per-gpu=3"), {"gpusPerNode": "2", "cpusPerGpu": 3}),
        (("--tres-per-task=cpu=4,gres/gpu:1",), {"tresPerTask": "cpu=4,gres/gpu:1"}),
    ],
)
def test_other_amounts_stay_in_the_terms_of_slurm(directives: tuple[str, ...], block: dict[str, Any]) -> None:
    found = spec(*directives)
    assert found.get("slurm", {}) == block


@pytest.mark.parametrize(
    ("directives", "block"),
    [
        (("--mail-type=BEGIN", "--mail-type=end"), {"mailType": ["BEGIN", "END"]}),
        (("--mail-type=NONE",), {}),
        (("--exclusive",), {"exclusive": "node"}),
        (("--exclusive=USER",), {"exclusive": "user"}),
        (("--nice",), {"nice": 100}),
        (("--nice=-5",), {"nice": -5}),
        (("--no-kill=off",), {"noKill": False}),
        (("--switches=1@01:00",), {"switches": "1@60"}),
        (("--time-min=1:00:01",), {"timeMin": 61}),
        (("--delay-boot=2",), {"delayBoot": 120}),
        (("--kill-on-invalid-dep=no",), {"killOnInvalidDep": False}),
        (("-B 2:*:1",), {"socketsPerNode": 2, "threadsPerCore": 1}),
        (("--requeue",), {"requeue": True}),
        (("--no-requeue", "--requeue"), {"requeue": True}),
        (("--oversubscribe", "--exclusive=mcs"), {"exclusive": "mcs"}),
        (("--dependency=afterok:12?afterany:13",), {"dependency": "afterok:12?afterany:13"}),
        (("--dependency=aftercorr:12,singleton",), {"dependency": "aftercorr:12,singleton"}),
        (("--dependency=after:12+5",), {"dependency": "after:12+5"}),
        (("--uenv=prgenv",), {"plugins": {"uenv": "prgenv"}}),
        (("--time=UNLIMITED",), {"timeUnlimited": True}),
        (("--time=0",), {"timeUnlimited": True}),
        (("-p a,b",), {"partitions": ["a", "b"]}),
        (("-M here,there",), {"clusters": ["here", "there"]}),
        (("--wait-all-nodes=1",), {"waitAllNodes": 1}),
    ],
)
def test_options_of_slurm_alone_are_fields_of_their_block(
    directives: tuple[str, ...], block: dict[str, Any]
) -> None:
    assert spec(*directives).get("slurm", {}) == block


@pytest.mark.parametrize(
    ("directives", "words"),
    [
        (("-n\u0663",), "is not a number above zero"),
        (("--mem=1G --mem-per-cpu=1G",), "cannot be given with --mem: keep one of them"),
        (("--time=1-",), "is not a time"),
        (("--time=400-00",), "366 days"),
        (("-n0",), "is not a number above zero"),
        (("--mem=",), "is not an amount"),
        (("--mem=4B",), "is not an amount"),
        (("--array=0-99999",), "--array"),
        (("--array=x",), "is not a list of indices"),
        (("--gpus=many",), "is not like 2 or kind1:2"),
        (("--hint=exclusive",), "must be one of compute_bound"),
        (("--mail-type=SOMETIMES",), "holds no type of mail"),
        (("--signal=B:USR1@",), "is not like B:USR1@120"),
        (("--dependency=afterok:Left",), "is neither the name of a Job nor the id"),
        (("--dependency=aftercorr:left-1",), "needs ids of Slurm's jobs"),
        (("--dependency=afterok:a-b?afterok:c",), "all must be ids of Slurm's jobs"),
        (("--export=A-B",), "is neither a name"),
        (("--open-mode=x",), "must be one of append, truncate"),
        (("--output=",), "must be a text"),
        (("--begin=soon",), "is not a time"),
        (("--begin=2027-01-15",), "has no time zone"),
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
        (("-B 1:2:3:4",), "is not SOCKETS:CORES:THREADS"),
    ],
)
def test_what_is_wrong_is_said_by_line(directives: tuple[str, ...], words: str) -> None:
    assert any(words in found and found.startswith("line ") for found in mistakes(*directives)), mistakes(
        *directives
    )


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
        assert tasks
        assert each
        assert nodes
        assert tasks > nodes * each
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
    assert found.job["spec"]["script"] == text.replace("#SBATCH -n 2", "##SBATCH -n 2")


@given(st.lists(st.sampled_from([*PIECES, "#SBATCH -n 3\n", "cat <<E\n", '"""']), max_size=30))
def test_nothing_behind_the_first_command_is_changed(parts: list[str]) -> None:
    body = ": start\n" + "".join(parts)
    found = convert(f"#!/bin/sh\n#SBATCH -n 2\n{body}", "a.sh")
    if isinstance(found, Imported):
        assert found.job["spec"]["script"] == f"#!/bin/sh\n##SBATCH -n 2\n{body}"
    else:
        assert "\r" in body
        assert all(mistake.line > 2 for mistake in found), found


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
    assert any("no srun" in note for note in found.notes)


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
    assert read_script(script).directives == ()
