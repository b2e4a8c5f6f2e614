"""Jobs that ask for RDMA fail rather than use TCP, and say so."""

from typing import Any

import pytest

from platformctl.jobs import kubernetes, transport
from platformctl.jobs.model import JobSpec, Target
from platformctl.jobs.policy import settle
from tests.unit.jobs.test_slurm_devices import POLICY, of_script, of_template, submitted
from tests.unit.jobs.test_translation import ALICE, TOKEN, job

HCA = {"rdma/hca": "1"}


def variables(spec: JobSpec) -> dict[str, str]:
    """The variables of the first container on Kubernetes."""
    made = kubernetes.batch_job(spec, ALICE, "pi", TOKEN)
    container = made["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}


def on_slurm(spec: JobSpec) -> dict[str, str]:
    return dict(text.split("=", 1) for text in submitted(spec)["environment"])


@pytest.mark.parametrize("spec", [of_template(HCA), of_script(HCA)], ids=["template", "script"])
def test_a_job_with_rdma_has_no_tcp_to_fall_back_to_on_either_scheduler(spec: JobSpec) -> None:
    assert variables(spec).items() >= transport.VARIABLES.items()
    assert on_slurm(spec).items() >= transport.VARIABLES.items()


@pytest.mark.parametrize("limits", [{}, {"platformctl.io/fpga": "1"}, {"rdma/hca": "0"}])
def test_other_jobs_choose_their_transport_themselves(limits: dict[str, Any]) -> None:
    spec = of_template(limits)
    assert variables(spec).keys().isdisjoint(transport.VARIABLES)
    assert transport.told(spec, Target.KUBERNETES) == ""


def test_values_of_the_user_take_precedence() -> None:
    container = {"name": "main", "image": "debian:13", "command": ["true"], "resources": {"limits": HCA}}
    own = [{"name": "UCX_TLS", "value": "all"}]
    settled = settle(job(template={"spec": {"containers": [container | {"env": own}]}}), ALICE, POLICY)
    assert isinstance(settled, JobSpec)
    assert variables(settled)["UCX_TLS"] == "all"
    assert variables(settled)["NCCL_NET"] == "IB"
    script = of_script(HCA, slurm={"environment": {"UCX_TLS": "all"}})
    assert on_slurm(script)["UCX_TLS"] == "all"


@pytest.mark.parametrize(("gres", "wanted"), [("rdma:1", True), ("gpu:1,rdma", True), ("gpu:rdma:1", False)])
def test_slurms_own_words_ask_too(gres: str, wanted: bool) -> None:
    spec = job(script="#!/bin/sh\n", slurm={"gres": gres})
    assert transport.wanted(spec) is wanted
    assert ("UCX_TLS" in on_slurm(spec)) is wanted


def test_the_status_says_what_the_job_gets() -> None:
    assert transport.told(of_template(HCA), Target.KUBERNETES).startswith("RDMA (rdma/hca: 1); UCX, NCCL")
    assert transport.told(of_template(HCA), Target.SLURM).startswith("RDMA (gres/rdma: 1); ")
