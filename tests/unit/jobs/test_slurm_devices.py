"""Devices on Slurm: resources of Kubernetes by the site's names for them, and their types."""

from typing import Any

import pytest

from platformctl.jobs.model import JobSpec, Policy, Target
from platformctl.jobs.policy import settle
from platformctl.router.config import TemplatesEntry
from tests.unit.jobs import test_translation
from tests.unit.jobs.test_translation import ALICE, job

POLICY = TemplatesEntry(
    devices={"platformctl.io/fpga": "fpga", "rdma/hca": "rdma", "amd.com/gpu": "gpu"}
).policy()
TYPE = "devices.platformctl.io/gpu-type"


def of_template(
    limits: dict[str, Any], labels: dict[str, str] | None = None, policy: Policy = POLICY, **fields: Any
) -> JobSpec:
    """The settled job of a template that asks for this."""
    container = {"name": "main", "image": "debian:13", "command": ["true"], "resources": {"limits": limits}}
    pod = {"containers": [container], **({"nodeSelector": labels} if labels else {})}
    found = settle(job(template={"spec": pod}, **fields), ALICE, policy)
    assert isinstance(found, JobSpec), found
    return found


def of_script(resources: dict[str, Any], **fields: Any) -> JobSpec:
    found = settle(job(script="#!/bin/sh\n", resources=resources, **fields), ALICE, POLICY)
    assert isinstance(found, JobSpec), found
    return found


def submitted(settled: JobSpec) -> dict[str, Any]:
    found: dict[str, Any] = test_translation.submitted(settled)["job"]
    return found


def refusals(settled: JobSpec) -> list[str]:
    return [str(refusal) for refusal in settled.unsupported.get(Target.SLURM, ())]


@pytest.mark.parametrize(
    ("limits", "labels", "expected"),
    [
        ({"platformctl.io/fpga": 2}, {}, "gres/fpga:2"),
        ({"nvidia.com/gpu": 1, "rdma/hca": 1}, {}, "gres/gpu:1,gres/rdma:1"),
        ({"amd.com/gpu": 2}, {}, "gres/gpu:2"),
        ({"nvidia.com/gpu": 2}, {TYPE: "a100"}, "gres/gpu:a100:2"),
        ({"amd.com/gpu": 2}, {TYPE: "mi300"}, "gres/gpu:mi300:2"),
        ({"platformctl.io/fpga": 1}, {"devices.platformctl.io/fpga": "present"}, "gres/fpga:1"),
    ],
)
def test_a_device_is_a_generic_resource(
    limits: dict[str, Any], labels: dict[str, str], expected: str
) -> None:
    settled = of_template(limits, labels)
    assert refusals(settled) == []
    assert submitted(settled)["tres_per_node"] == expected


def test_a_script_asks_by_the_same_names() -> None:
    settled = of_script({"platformctl.io/fpga": 1, "cpu": 2})
    assert refusals(settled) == []
    assert submitted(settled)["tres_per_node"] == "gres/fpga:1"
    assert settled.resources.limits["platformctl.io/fpga"] == "1"


def test_each_task_gets_its_own() -> None:
    spread = submitted(of_script({"platformctl.io/fpga": 1}, tasks=4))
    assert spread["tres_per_task"] == "gres/fpga:1"
    packed = submitted(of_script({"platformctl.io/fpga": 1}, tasks=4, nodes=2))
    assert packed["tres_per_node"] == "gres/fpga:2"


@pytest.mark.parametrize(
    ("limits", "labels", "path", "why"),
    [
        (
            {"example.com/tape": 1},
            {},
            "spec.template.spec.containers[0].resources.limits[example.com/tape]",
            "it has no device example.com/tape (there are: amd.com/gpu, platformctl.io/fpga, rdma/hca)",
        ),
        (
            {},
            {TYPE: "a100"},
            f"spec.template.spec.nodeSelector[{TYPE}]",
            "ask for a gpu in the container's resources as well",
        ),
        (
            {"nvidia.com/gpu": 1},
            {"devices.platformctl.io/tape": "present"},
            "spec.template.spec.nodeSelector[devices.platformctl.io/tape]",
            "no device of Slurm is called tape",
        ),
    ],
)
def test_what_slurm_does_not_have(
    limits: dict[str, Any], labels: dict[str, str], path: str, why: str
) -> None:
    (found,) = refusals(of_template(limits, labels))
    assert found.startswith(f"{path}: is not supported on slurm here: ")
    assert why in found


def test_a_site_without_such_devices_refuses_them_by_name() -> None:
    settled = of_template({"platformctl.io/fpga": 1}, policy=Policy())
    assert "it has no device platformctl.io/fpga (there are: none besides GPUs)" in refusals(settled)[0]
    script = settle(job(script="#!/bin/sh\n", resources={"rdma/hca": 1}), ALICE, Policy())
    assert isinstance(script, JobSpec)
    assert refusals(script)[0].startswith("spec.resources[rdma/hca]: ")


def test_of_several_types_slurm_has_no_choice() -> None:
    expression = {"key": TYPE, "operator": "In", "values": ["a100", "h100"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    required = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    pod = {
        "containers": [{"name": "m", "image": "d:1", "resources": {"limits": {"nvidia.com/gpu": 1}}}],
        "affinity": required,
    }
    settled = settle(job(template={"spec": pod}), ALICE, POLICY)
    assert isinstance(settled, JobSpec)
    assert "Slurm has no choice between types of a device" in refusals(settled)[0]


def test_a_label_that_the_site_maps_itself_stays_a_feature() -> None:
    policy = TemplatesEntry(node_features={f"{TYPE}=a100": "ampere"}).policy()
    settled = of_template({"nvidia.com/gpu": 1}, {TYPE: "a100"}, policy)
    assert submitted(settled)["tres_per_node"] == "gres/gpu:1"
    assert submitted(settled)["constraints"] == "ampere"


def test_devices_are_written_in_one_place() -> None:
    settled = of_script({"platformctl.io/fpga": 1}, slurm={"gres": "gpu:1"})
    assert refusals(settled) == [
        "spec.slurm.gres: is not supported on slurm beside devices in resources: "
        "write all devices in one of both"
    ]
