"""What sbatch 24.11 tells srun and slurmctld of an option, as seen in jobs of a lab."""

from dataclasses import replace

import pytest

from tests.cases.scripts import CALLER
from tests.unit.jobs.test_sbatch_faults import imported, script, sent, variables

# By options: variables of the job, and fields of slurmrestd. None: not there.
SEEN: dict[str, tuple[dict[str, str | None], dict[str, object]]] = {
    "-n1 -c2 --gpus-per-task=1": (
        {"SLURM_TRES_PER_TASK": "cpu=2,gres/gpu=1", "SLURM_TRES_BIND": "gres/gpu:per_task:1"},
        {"tres_per_task": "cpu=2,gres/gpu=1", "tres_bind": "gres/gpu:per_task:1", "tasks": 1},
    ),
    "-n2 --gpus-per-task=a100:2": (
        {"SLURM_TRES_PER_TASK": "gres/gpu:a100=2"},
        {"tres_per_task": "gres/gpu:a100=2", "tres_bind": "gres/gpu:per_task:2"},
    ),
    "-n1 --tres-per-task=cpu=2,gres/gpu:1": (
        {"SLURM_TRES_PER_TASK": "cpu=2,gres/gpu:1", "SLURM_CPUS_PER_TASK": "2"},
        {"tres_per_task": "cpu=2,gres/gpu:1", "tres_bind": "gres/gpu:per_task:1"},
    ),
    "-n1 -c2 --tres-per-task=gres/gpu=1": (
        {"SLURM_TRES_PER_TASK": "cpu=2,gres/gpu=1"},
        {"tres_per_task": "cpu=2,gres/gpu=1"},
    ),
    "-n1 --gpus-per-task=1 --gpu-bind=closest": (
        {"SLURM_TRES_BIND": "gres/gpu:closest"},
        {"tres_bind": "gres/gpu:closest"},
    ),
    "-n1 --gpus-per-task=1 --tres-bind=gres/gpu:map:0": (
        {"SLURM_TRES_BIND": "gres/gpu:map:0"},
        {"tres_bind": "gres/gpu:map:0"},
    ),
    "-c2": ({"SLURM_TRES_PER_TASK": "cpu=2", "SLURM_TRES_BIND": None}, {"tres_per_task": "cpu=2"}),
    "--gres=gpu:1 --cpus-per-gpu=2": ({"SLURM_TRES_PER_TASK": None}, {"tres_per_task": None}),
    "--hint=multithread": (
        {"SLURM_HINT": "multithread", "SLURM_NTASKS_PER_CORE": "65535", "SLURM_THREADS_PER_CORE": None},
        {"threads_per_core": None},
    ),
    "--hint=memory_bound": (
        {"SLURM_HINT": "memory_bound", "SLURM_THREADS_PER_CORE": "1"},
        {"threads_per_core": 1},
    ),
    "--hint=nomultithread --ntasks-per-core=2": (
        {"SLURM_HINT": None, "SLURM_NTASKS_PER_CORE": "2", "SLURM_THREADS_PER_CORE": None},
        {"threads_per_core": None},
    ),
    "--hint=nomultithread -B 1:1:1": (
        {"SLURM_HINT": None, "SLURM_THREADS_PER_CORE": "1"},
        {"threads_per_core": 1},
    ),
    "--mem-bind=local": ({"SLURM_MEM_BIND": "local", "SLURM_MEM_BIND_VERBOSE": "quiet"}, {}),
    "--mem-bind=local,sort": ({"SLURM_MEM_BIND": "sort,local", "SLURM_MEM_BIND_SORT": "sort"}, {}),
    "--mem-bind=map_mem:0,1": ({"SLURM_MEM_BIND": "map_mem:0,1", "SLURM_MEM_BIND_SORT": None}, {}),
    "--mem-bind=rank,verbose,prefer": (
        {"SLURM_MEM_BIND": "verbose,prefer,rank", "SLURM_MEM_BIND_VERBOSE": "verbose"},
        {},
    ),
    "--dependency=singleton": ({"SLURM_JOB_DEPENDENCY": "singleton"}, {"dependency": "singleton"}),
}


@pytest.mark.parametrize("options", SEEN)
def test_an_option_is_told_as_sbatch_tells_it(options: str) -> None:
    expected, fields = SEEN[options]
    text = script(options)
    told = variables(text)
    assert {name: told.get(name) for name in expected} == expected
    body = sent(text)
    assert {name: body.get(name) for name in fields} == fields


def test_a_hint_that_does_not_count_is_noted() -> None:
    found = imported(script("--hint=nomultithread --threads-per-core=2"))
    assert "--hint has no effect beside --threads-per-core, as in sbatch" in found.notes


def test_a_login_has_limits_of_its_own() -> None:
    caller = replace(CALLER, whole=True, limits={"NPROC": "4096"})
    assert variables(script("--export=NONE"), caller=caller)["SLURM_RLIMIT_NPROC"] == "4096"
    told = variables(script("--get-user-env"), caller=caller)
    assert "SLURM_RLIMIT_NPROC" not in told
    assert told["SLURM_UMASK"] == "0022"


def test_nothing_is_nothing_but_slurms_own() -> None:
    told = variables(script("--export=NIL"))
    assert not {"PATH", "HOME", "USER", "SHELL"} & set(told)
    assert told["SLURM_SUBMIT_DIR"] == "/home/alice/run"
