"""What a site decides about the fields of Slurm, with its reasons."""

from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Policy, Queue, SlurmPolicy, Target
from platformctl.jobs.policy import in_queue, settle
from platformctl.jobs.slurm_environment import plugin_variable
from platformctl.router.config import SlurmOptionsEntry
from tests.unit.jobs.test_translation import ALICE, job, submitted

POLICY = SlurmPolicy(
    forbidden={"reboot": "operators boot nodes"},
    forced={"wckey": ("site", "the accounting needs a key")},
    folders=("/home", "/scratch/"),
    plugins={"uenv": "uenv"},
)


def settled(policy: SlurmPolicy = POLICY, **block: Any) -> JobSpec | list[str]:
    """The job, or its refusals in words."""
    found = settle(job(script="#!/bin/sh\n", slurm=block), ALICE, Policy(slurm=policy))
    return found if isinstance(found, JobSpec) else [str(refusal) for refusal in found]


def test_what_is_forbidden_is_refused_with_the_reason() -> None:
    assert settled(reboot=True) == [
        "spec.slurm.reboot: is not allowed at this site: operators boot nodes; leave it out"
    ]
    (of_component,) = settled(components=[{"slurm": {"reboot": True}}])  # type: ignore[misc]
    assert of_component.startswith("spec.slurm.components[0].slurm.reboot: is not allowed")


def test_what_is_forced_is_set_and_another_value_is_refused() -> None:
    found = settled(components=[{"tasks": 2}])
    assert isinstance(found, JobSpec)
    assert (found.slurm["wckey"], found.components[0].slurm["wckey"]) == ("site", "site")
    assert isinstance(settled(wckey="site"), JobSpec)
    assert settled(wckey="mine") == [
        "spec.slurm.wckey: is always site at this site: the accounting needs a key; leave it out"
    ]


@pytest.mark.parametrize(
    "folder", ["/home/alice", "/home/alice/run", "run", "/home/bob", "/scratch/x", "/scratch"]
)
def test_a_job_starts_in_a_shared_folder(folder: str) -> None:
    assert isinstance(settled(chdir=folder), JobSpec)


@pytest.mark.parametrize("folder", ["/tmp", "/scratch2", "/", "/home/../etc", "../bob", "/homes"])
def test_another_folder_is_refused_with_what_to_do(folder: str) -> None:
    (refused,) = settled(chdir=folder)  # type: ignore[misc]
    assert refused.startswith("spec.slurm.chdir: ")
    assert "is not below /home/alice or /home or /scratch: submit it from a folder there" in refused
    remedy = refused.partition("--chdir=")[2]
    assert isinstance(settled(chdir=remedy), JobSpec)


def test_options_of_plugins_reach_slurmd_by_their_variable() -> None:
    found = settled(plugins={"uenv": "prgenv:v1"})
    assert isinstance(found, JobSpec)
    assert "_SLURM_SPANK_OPTION_uenv_uenv=prgenv:v1" in submitted(found)["job"]["environment"]
    assert plugin_variable("pyxis", "container-image") == "_SLURM_SPANK_OPTION_pyxis_container_image"
    assert settled(plugins={"view": "x"}) == [
        "spec.slurm.plugins[view]: this site's Slurm has no plugin with the option view; there are uenv: "
        "leave it out"
    ]


def test_several_partitions_are_not_for_a_site_with_queues() -> None:
    spec = job(script="#!/bin/sh\n", slurm={"partitions": ["small", "large"]})
    (refused,) = in_queue(spec, Queue("main")).unsupported[Target.SLURM]
    assert str(refused) == (
        "spec.slurm.partitions: is not for a site with Queues: name one, such as "
        "spec.queue: small or spec.queue: large"
    )
    mixed = job(script="#!/bin/sh\n", queue="main", slurm={"components": [{"queue": "other"}]})
    (refused,) = in_queue(mixed, Queue("main")).unsupported[Target.SLURM]
    assert refused.path == "spec.slurm.components"


@pytest.mark.parametrize(
    "entry",
    [
        {"forbid": {"nonsense": "x"}},
        {"forbid": {"reboot": ""}},
        {"force": {"reboot": {"value": "yes", "because": "x"}}},
        {"folders": ["relative"]},
    ],
)
def test_a_wrong_configuration_is_refused_at_the_start(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SlurmOptionsEntry.model_validate(entry)
