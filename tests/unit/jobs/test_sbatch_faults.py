"""Faults that scripts of real sites showed, each as its smallest script, with what is right."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from platformctl.jobs import slurm
from platformctl.jobs.manifest import as_yaml
from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_environment import Caller
from platformctl.jobs.sbatch_script import CommandLine, read_command_line
from tests.cases.scripts import CALLER
from tests.unit.jobs.test_translation import ALICE, TOKEN

PLAIN = replace(CALLER, whole=False)


def imported(text: str, line: str = "", caller: Caller = PLAIN, args: tuple[str, ...] = ()) -> Imported:
    """The script as a Job; line: options of the command line."""
    typed = read_command_line(line.split())
    found = convert(
        text, "a.sh", typed=CommandLine(typed.options, typed.components), args=args, caller=caller
    )
    assert isinstance(found, Imported), found
    return found


def script(*directives: str, first: str = "#!/bin/bash", body: str = "hostname\n") -> str:
    """A script with these directives."""
    return "\n".join([first, *(f"#SBATCH {line}" for line in directives), body])


def sent(text: str, line: str = "", dialect: str = "v0.0.42", **more: Any) -> dict[str, Any]:
    """What slurmrestd gets."""
    job = parse(imported(text, line, **more).job["spec"])
    assert isinstance(job, JobSpec)
    body = slurm.submission(job, ALICE, "a-sh-x7k2p", TOKEN, dialect)
    return dict(body["job"] if "job" in body else body["jobs"][0])


def variables(text: str, **more: Any) -> dict[str, str]:
    """The environment that slurmrestd gets."""
    return dict(item.split("=", 1) for item in sent(text, **more)["environment"])


BODIES = {
    "01 text in quotes": 'head="#!/bin/bash\n#SBATCH --ntasks=8"\nprintf %s "$head" > step.sh\n',
    "02 text in Python": 'text = """#!/bin/bash\n#SBATCH --ntasks=8\n"""\n',
    "27 here-document": "cat > next.sh <<END\n#!/bin/bash\n#SBATCH --ntasks=8\nEND\n",
    "28 here-string and an old line": 'read -r a b <<< "1 2"\n#SBATCH --mem=4G\necho "$a"\n',
}


@pytest.mark.parametrize("name", BODIES)
def test_text_behind_the_first_command_stays(name: str) -> None:
    first = "#!/usr/bin/env python3" if "Python" in name else "#!/bin/bash"
    text = script("--time=10", first=first, body=BODIES[name])
    kept = imported(text).job["spec"]["script"]
    assert kept == text.replace("#SBATCH --time=10", "##SBATCH --time=10", 1)
    assert sent(text)["script"] == kept
    assert "memory_per_node" not in sent(text)


@pytest.mark.parametrize("value", ["NONE", "none", "None"])
def test_03_23_export_none_is_a_login(value: str) -> None:
    found = variables(script(f"--export={value}", body="module load tool\n"))
    assert found["SLURM_GET_USER_ENV"] == "1"
    assert found["SLURM_EXPORT_ENV"] == value
    # slurmd keeps what it is given: a path of ours would take the place of the login's.
    assert "PATH" not in found


def test_03_export_nil_is_nothing() -> None:
    found = variables(script("--export=nil"))
    assert "SLURM_GET_USER_ENV" not in found
    assert "PATH" not in found


def test_04_the_folder_and_its_variable_are_those_of_the_submission() -> None:
    text = script("--output=logs/%j.out", body='set -u\ncd "$SLURM_SUBMIT_DIR"\n')
    found = sent(text)
    assert found["current_working_directory"] == "/home/alice/run"
    assert found["standard_output"] == "/home/alice/run/logs/%j.out"
    assert variables(text)["SLURM_SUBMIT_DIR"] == "/home/alice/run"
    moved = script("--chdir=/home/alice/other", "--output=%j.out")
    assert sent(moved)["current_working_directory"] == "/home/alice/other"
    assert sent(moved)["standard_output"] == "/home/alice/other/%j.out"
    assert variables(moved)["SLURM_SUBMIT_DIR"] == "/home/alice/run"
    on_line = variables(text, caller=CALLER)
    assert on_line["SLURM_SUBMIT_HOST"] == "login1.example.org"
    assert (on_line["SLURM_UMASK"], on_line["SLURM_RLIMIT_NOFILE"]) == ("0022", "1024")


def test_05_the_script_has_its_arguments() -> None:
    found = imported(script(), args=("sample 1", "--time"))
    assert found.job["spec"]["args"] == ["sample 1", "--time"]
    assert sent(script(), args=("sample 1", "--time"))["argv"][1:] == ["sample 1", "--time"]


def test_06_module_has_a_login_where_no_shell_is_taken_along() -> None:
    found = imported(script(body="module load tool\n"))
    assert found.job["spec"]["slurm"]["loginEnvironment"] is True
    assert any("login environment" in note for note in found.notes)


def test_07_slurm_writes_the_named_file_and_no_other() -> None:
    text = script("--array=0-999", "--output=logs/%A_%a.out", "--error=/scratch/e", "--open-mode=append")
    found = sent(text)
    assert found["standard_output"] == "/home/alice/run/logs/%A_%a.out"
    assert found["standard_error"] == "/scratch/e"
    assert found["open_mode"] == ["APPEND"]
    assert "exec >" not in found["script"]
    assert sent(script())["standard_output"] == "/home/alice/run/slurm-%j.out"


def test_08_blanks_and_tabs_stay_readable() -> None:
    job = imported("#!/bin/bash\n#SBATCH --time=10 \n\techo one \n").job
    shown = as_yaml(job)
    assert "  script: |\n    #!/bin/bash\n    ##SBATCH --time=10 \n    \techo one \n" in shown
    assert yaml.safe_load(shown) == job


FIELDS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("10", ("--mail-type=END,FAIL", "--mail-user=a@example.org"),
     {"mail_type": ["END", "FAIL"], "mail_user": "a@example.org"}),
    ("11", ("--partition=main", "--qos=long"), {"partition": "main", "qos": "long"}),
    ("12", ("--nodes=2", "--exclusive"), {"nodes": "2", "shared": ["none"]}),
    ("13", ("--constraint=avx512",), {"constraints": "avx512"}),
    ("14", ("--gres=gpu:kind1:2", "--cpus-per-gpu=4"),
     {"tres_per_node": "gres/gpu:kind1:2", "cpus_per_tres": "gres/gpu:4"}),
    ("15", ("--ntasks=4", "--gres=gpu:1", "--mem=8G"),
     {"tasks": 4, "tres_per_node": "gres/gpu:1", "memory_per_node": {"set": True, "number": 8192}}),
    ("16", ("--ntasks=8", "--mem=40G"), {"tasks": 8, "memory_per_node": {"set": True, "number": 40960}}),
    ("17", ("--nodes=1", "--mem=0"), {"memory_per_node": {"set": True, "number": 0}}),
    ("18", ("--signal=B:USR1@120",),
     {"kill_warning_signal": "USR1", "kill_warning_delay": {"set": True, "number": 120},
      "kill_warning_flags": ["BATCH_JOB"]}),
    ("19", ("--requeue",), {"requeue": True}),
    ("20", ("--exclude=node[3-4]", "--nodelist=node1"),
     {"excluded_nodes": "node[3-4]", "required_nodes": "node1"}),
    ("21", ("--partition=small,large",), {"partition": "small,large"}),
    ("22", ("--account=proj@gpu",), {"account": "proj@gpu"}),
    ("25", ("--array=[0-4]",), {"array": "0-4"}),
    ("29", ("--gres=scratch:50G",), {"tres_per_node": "gres/scratch:50G"}),
    ("31", ("--ntasks=2", "--hint=nomultithread"), {"threads_per_core": 1}),
    ("33", ("--output=result.out",), {"standard_output": "/home/alice/run/result.out"}),
    ("34", ("--job-name=chain", "--dependency=singleton"), {"name": "chain", "dependency": "singleton"}),
    ("37", ("--reservation=course",), {"reservation": "course"}),
]  # fmt: skip


@pytest.mark.parametrize(("number", "directives", "fields"), FIELDS, ids=[row[0] for row in FIELDS])
def test_what_slurm_has_a_field_for_reaches_it(
    number: str, directives: tuple[str, ...], fields: dict[str, Any]
) -> None:
    first = "#!/usr/bin/env Rscript" if number == "33" else "#!/bin/bash"
    found = sent(script("--time=10", *directives, first=first))
    assert {name: found.get(name) for name in fields} == fields


def test_15_16_amounts_for_a_node_are_not_those_of_a_task() -> None:
    found = sent(script("--ntasks=4", "--gres=gpu:1", "--mem=8G"))
    assert not {"nodes", "tasks_per_node", "tres_per_task", "memory_per_cpu"} & found.keys()


def test_24_export_all_takes_the_shell_along() -> None:
    shell = replace(CALLER, environment={"DATASET": "one", "API_TOKEN": "x", "PROXY": "http://a:b@c.example"})
    found = imported(script("--export=ALL"), caller=shell)
    assert found.job["spec"]["slurm"]["environment"]["DATASET"] == "one"
    assert not {"API_TOKEN", "PROXY"} & found.job["spec"]["slurm"]["environment"].keys()
    assert any("API_TOKEN, PROXY" in note for note in found.notes)
    named = imported(script("--export=ALL,API_TOKEN"), caller=shell)
    assert named.job["spec"]["slurm"]["environment"]["API_TOKEN"] == "x"
    assert named.job["spec"]["slurm"]["loginEnvironment"] is True


def test_26_an_array_of_the_command_line() -> None:
    text = script("--output=%A_%a.out")
    assert imported(text, "--array=1-9").job["spec"]["array"] == "1-9"
    assert sent(text)["standard_output"] == "/home/alice/run/%A_%a.out"


def test_30_no_gpus_is_legal() -> None:
    assert "tres_per_node" not in sent(script("--gres=gpu:0"))


def test_31_srun_is_told_the_hint() -> None:
    assert variables(script("--hint=nomultithread"))["SLURM_HINT"] == "nomultithread"


def test_32_an_option_of_a_plugin_is_told_from_a_mistake() -> None:
    found = imported(script("--container-image=docker.io/library/debian:13"))
    assert found.job["spec"]["slurm"]["plugins"] == {"container-image": "docker.io/library/debian:13"}
    assert any("plugin (pyxis)" in note and "`template`" in note for note in found.notes)


def test_35_the_components_of_a_heterogeneous_job() -> None:
    text = (
        "#!/bin/bash\n#SBATCH --time=10 -n1\n#SBATCH hetjob\n#SBATCH --time=10 -n4 --mem=1G\nsrun ./a : ./b\n"
    )
    spec = imported(text, "--qos=a : --qos=b -n 6").job["spec"]
    assert spec["slurm"]["qos"] == "a"
    assert spec["slurm"]["components"] == [
        {"tasks": 6, "walltime": "00:10:00", "slurm": {"mem": "1G", "qos": "b"}}
    ]
    job = parse(spec)
    assert isinstance(job, JobSpec)
    body = slurm.submission(job, ALICE, "a", TOKEN, "v0.0.42")
    assert "job" not in body
    first, second = body["jobs"]
    assert ("script" in first, "script" in second) == (True, False)
    assert ("tasks" in first, second["tasks"], second["qos"]) == (False, 6, "b")
    assert first["comment"] == second["comment"]
    assert (first["hold"], second["hold"]) == (True, True)


def test_35_a_component_has_the_time_of_the_first_unless_it_has_its_own() -> None:
    text = script("--time=20", "hetjob", "-n2", "hetjob", "--time=5")
    job = parse(imported(text).job["spec"])
    assert isinstance(job, JobSpec)
    bodies = slurm.submission(job, ALICE, "a-sh-x7k2p", TOKEN, "v0.0.42")["jobs"]
    assert [body["time_limit"]["number"] for body in bodies] == [20, 20, 5]


def test_35_srun_is_told_what_each_component_has() -> None:
    told = variables(script("-n1", "hetjob", "-n2 -c2"))
    groups = {name: text for name, text in told.items() if "_HET_GROUP_" in name}
    assert groups == {
        **{f"SLURM_{name}_HET_GROUP_0": "1" for name in ("NTASKS", "NPROCS")},
        **{f"SLURM_{name}_HET_GROUP_1": "2" for name in ("NTASKS", "NPROCS", "CPUS_PER_TASK")},
        "SLURM_TRES_PER_TASK_HET_GROUP_1": "cpu=2",
    }
    assert told["SLURM_NTASKS_PACK_GROUP_1"] == "2"


REMEDIES = [
    (("--mem=1G --mem-per-cpu=1G",), ("--mem=1G",), ()),
    (("--uid=alice",), (), ()),
    (("--nonsense=1",), (), ("nonsense",)),
    (("--hint=everything",), ("--hint=compute_bound",), ()),
    (("--tim=10",), ("--time=10",), ()),
    (("--dependency=afterok:a-b?afterok:c",), ("--dependency=afterok:1?afterok:2",), ()),
    (("--dependency=aftercorr:left-1",), ("--dependency=afterok:left-1",), ()),
    (("--begin=soon",), ("--begin=now+90minutes",), ()),
    (("--time=1-",), ("--time=1-0",), ()),
    (("-B 1:2:3:4",), ("-B 1:2:3",), ()),
    (("--resv-ports",), (), ()),
    (("--cluster-constraint=x",), (), ()),
]


@pytest.mark.parametrize(("wrong", "right", "without"), REMEDIES)
def test_a_remedy_is_enough(wrong: tuple[str, ...], right: tuple[str, ...], without: tuple[str, ...]) -> None:
    refused = convert(script(*wrong), "a.sh", caller=PLAIN)
    assert isinstance(refused, list)
    given = wrong if without else right
    assert isinstance(convert(script(*given), "a.sh", without=without, caller=PLAIN), Imported)


@pytest.mark.parametrize(
    ("line", "tasks", "variables"),
    [
        ("-t 5", None, {}),
        ("--exclusive", None, {}),
        ("-n 1", None, {"SLURM_NTASKS": "1", "SLURM_NPROCS": "1"}),
        ("-n 3", 3, {"SLURM_NTASKS": "3", "SLURM_NPROCS": "3"}),
        ("-c 2", None, {"SLURM_CPUS_PER_TASK": "2", "SLURM_TRES_PER_TASK": "cpu=2"}),
        ("--hint=nomultithread", None, {"SLURM_THREADS_PER_CORE": "1"}),
    ],
)
def test_variables_of_amounts_are_those_of_sbatch(
    line: str, tasks: int | None, variables: dict[str, str]
) -> None:
    spec = imported(f"#!/bin/bash\n#SBATCH {line}\nenv\n").job["spec"]
    job = parse(spec)
    assert isinstance(job, JobSpec)
    body = slurm.submission(job, ALICE, "a", TOKEN, "v0.0.42")["job"]
    assert body.get("tasks") == tasks
    named = dict(pair.split("=", 1) for pair in body["environment"])
    told = ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK")
    found = {name: named[name] for name in (*told, "SLURM_THREADS_PER_CORE") if name in named}
    assert found == variables
