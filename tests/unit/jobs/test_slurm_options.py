"""The table of sbatch's options against the definition of the Job and the fields that slurmrestd has."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs import slurm
from platformctl.jobs.model import JobSpec, Refusal
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_options import (
    BLOCKS,
    BY_NAME,
    OPTIONS,
    PLUGIN_OPTIONS,
    USUAL_PLUGIN,
    VARIABLES_READ,
    Elsewhere,
    schema,
)
from platformctl.paths import data_dir
from tests.cases.scripts import CALLER, made
from tests.unit.jobs.test_documentation import defined
from tests.unit.jobs.test_translation import ALICE, TOKEN

FILE = Path(__file__).parent / "sbatch" / "job-fields.txt"
SERVED: dict[str, set[str]] = {
    name: {f"v0.0.{number}" for number in numbers}
    for name, *numbers in (line.split() for line in FILE.read_text().splitlines() if not line.startswith("#"))
}
# What each made script becomes, by the name of its option.
JOBS = {name.removesuffix(".sh"): convert(text, name, caller=CALLER) for name, text in made()}


def job_of(name: str) -> JobSpec:
    found = JOBS[name]
    assert isinstance(found, Imported), found
    job = parse(found.job["spec"])
    assert isinstance(job, JobSpec), job
    return job


def test_the_definition_has_the_fields_of_the_table() -> None:
    assert defined("jobs.yaml", "spec")["slurm"]["properties"] == schema()


def test_the_chart_knows_the_fields_that_a_site_can_forbid_and_force() -> None:
    schema_of_values = json.loads((data_dir() / "charts" / "job-router" / "values.schema.json").read_text())
    assert schema_of_values["definitions"]["slurmField"]["enum"] == list(BLOCKS)


def test_every_field_says_what_it_is_for() -> None:
    assert all(block.about.endswith(".") for block in BLOCKS.values())
    assert len(BLOCKS) == len([option for option in OPTIONS if option.block]) + len(("components", "plugins"))


def test_variables_and_plugins_name_known_options() -> None:
    assert set(VARIABLES_READ.values()) <= set(BY_NAME)
    assert PLUGIN_OPTIONS.keys() == USUAL_PLUGIN.keys()
    assert not PLUGIN_OPTIONS.keys() & BY_NAME.keys()


@pytest.mark.parametrize("name", JOBS)
def test_a_usual_value_of_every_option_is_accepted(name: str) -> None:
    assert isinstance(JOBS[name], Imported), JOBS[name]
    block = (BY_NAME.get(name) or PLUGIN_OPTIONS[name]).block
    if block is not None and name not in ("time", "mem", "gres", "job-name", "get-user-env"):
        assert block.name in job_of(name).slurm


@pytest.mark.parametrize("dialect", slurm.DIALECTS)
@pytest.mark.parametrize("name", JOBS)
def test_slurmrestd_has_every_field_that_is_sent(name: str, dialect: str) -> None:
    job = job_of(name)
    if slurm.lacking(job, dialect):
        return
    body = slurm.submission(job, ALICE, "a", TOKEN, dialect)["job"]
    assert {field for field in body if dialect not in SERVED.get(field, set())} - {"script"} == set()


# Flags of a job that are not in all dialects from v0.0.39 to v0.0.44.
YOUNG = {
    "GRES_BINDING_DISABLED": slurm.DIALECTS[:5],
    "GRES_BINDING_ENFORCED": slurm.DIALECTS[:5],
    "STEPMGR_ENABLED": ("v0.0.41", "v0.0.42", "v0.0.43", "v0.0.44"),
}


@pytest.mark.parametrize("dialect", slurm.DIALECTS)
@pytest.mark.parametrize("name", JOBS)
def test_slurmrestd_has_every_flag_that_is_sent(name: str, dialect: str) -> None:
    job = job_of(name)
    if slurm.lacking(job, dialect):
        return
    body = slurm.submission(job, ALICE, "a", TOKEN, dialect)["job"]
    assert all(dialect in YOUNG.get(flag, slurm.DIALECTS) for flag in body.get("flags", ()))


def test_a_field_that_a_dialect_lacks_is_refused() -> None:
    (refused,) = slurm.lacking(job_of("oom-kill-step"), "v0.0.40")
    assert refused.path == "spec.slurm.oomKillStep"
    assert "leave it out" in refused.message
    assert slurm.lacking(job_of("cores-per-socket"), "v0.0.40") == []
    for dialect in slurm.DIALECTS:
        assert slurm.lacking(job_of("qos"), dialect) == []


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_wrong_value_is_refused_by_its_path(name: str) -> None:
    for value in (3.5, [], {"": 1}, "", "\x07", -(2**40)):
        found = parse({"script": "#!/bin/sh\n", "slurm": {name: value}})
        assert isinstance(found, list), value
        assert all(refusal.path.startswith(f"spec.slurm.{name}") for refusal in found)


@given(st.dictionaries(st.sampled_from(sorted(BLOCKS)), st.text() | st.integers() | st.booleans()))
def test_any_block_is_judged_without_an_exception(block: dict[str, Any]) -> None:
    job = parse({"script": "#!/bin/sh\n", "slurm": block})
    if isinstance(job, JobSpec):
        for dialect in slurm.DIALECTS:
            slurm.submission(job, ALICE, "a", TOKEN, dialect)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"nodes": 2, "slurm": {"nodes": "2-4"}}, "spec.slurm.nodes"),
        ({"walltime": 60, "slurm": {"timeUnlimited": True}}, "spec.slurm.timeUnlimited"),
        ({"queue": "a", "slurm": {"partitions": ["a", "b"]}}, "spec.slurm.partitions"),
        ({"resources": {"memory": "1Gi"}, "slurm": {"mem": "1G"}}, "spec.slurm.mem"),
        ({"resources": {"nvidia.com/gpu": 1}, "slurm": {"gpus": "1"}}, "spec.slurm.gpus"),
        ({"slurm": {"mem": "1G", "memPerCpu": "1G"}}, "spec.slurm.memPerCpu"),
        ({"array": "0-1", "slurm": {"components": [{"tasks": 2}]}}, "spec.slurm.components"),
        ({"slurm": {"components": [{"script": "x"}]}}, "spec.slurm.components[0].script"),
        ({"slurm": {"components": [{"slurm": {"output": "x"}}]}}, "spec.slurm.components[0].slurm.output"),
        ({"slurm": {"components": [{"tasks": 0}]}}, "spec.slurm.components[0].tasks"),
        ({"slurm": {"nonsense": 1}}, "spec.slurm.nonsense"),
    ],
)
def test_what_is_said_twice_or_does_not_fit_is_refused(spec: dict[str, Any], path: str) -> None:
    found = parse({"script": "#!/bin/sh\n", **spec})
    assert isinstance(found, list)
    assert [refusal.path for refusal in found] == [path]


def on_kubernetes(**spec: Any) -> list[Refusal]:
    job = parse({"script": "#!/bin/sh\n", **spec})
    assert isinstance(job, JobSpec), job
    from platformctl.jobs.model import Target

    return list(job.unsupported.get(Target.KUBERNETES, ()))


def test_a_need_of_slurm_is_refused_on_kubernetes_and_a_wish_is_not() -> None:
    assert [refusal.path for refusal in on_kubernetes(slurm={"constraint": "a", "mailType": ["END"]})] == [
        "spec.slurm.constraint"
    ]
    assert {block.elsewhere for block in BLOCKS.values()} == set(Elsewhere)


@pytest.mark.parametrize(
    ("block", "tasks", "refused", "requests"),
    [
        ({"mem": "1G"}, 1, [], {"memory": "1024Mi"}),
        ({"mem": "0"}, 1, ["mem"], {}),
        ({"gpusPerNode": "2", "memPerGpu": "1G"}, 1, [], {"nvidia.com/gpu": "2", "memory": "2048Mi"}),
        ({"gpus": "kind1:2"}, 1, ["gpus"], None),
        ({"gres": "gpu:2,scratch:1G"}, 1, ["gres"], None),
        ({"gres": "gpu:2"}, 1, [], {"nvidia.com/gpu": "2"}),
        ({"cpusPerGpu": 4, "gpusPerTask": "2"}, 1, [], {"cpu": "8", "nvidia.com/gpu": "2"}),
    ],
)
def test_amounts_of_slurm_have_counterparts_on_kubernetes(
    block: dict[str, Any], tasks: int, refused: list[str], requests: dict[str, str] | None
) -> None:
    found = on_kubernetes(slurm=block, tasks=tasks)
    assert [refusal.path for refusal in found] == [f"spec.slurm.{name}" for name in refused]
    job = parse({"script": "#!/bin/sh\n", "slurm": block, "tasks": tasks})
    assert isinstance(job, JobSpec)
    if requests is not None:
        assert job.resources.requests == requests
        assert job.resources.limits == requests
