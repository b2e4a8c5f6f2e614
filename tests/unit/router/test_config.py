"""What the router's configuration makes of the site's decisions."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from platformctl.jobs.model import SlurmPolicy
from platformctl.router.config import RouterConfig

ALICE = {"name": "alice", "uid": 10001, "gid": 10001, "groups": [20001], "home": "/home/alice"}


def config(**more: Any) -> RouterConfig:
    return RouterConfig.model_validate_json(json.dumps({"site": "lab", "users": [ALICE], **more}))


def test_one_policy_has_what_the_site_decides_about_templates_and_about_slurm() -> None:
    policy = config(
        groups=[{"name": "physics", "gid": 20002}],
        stage_paths=["/scratch"],
        templates={"service_accounts": {"data": ["pipeline"]}, "node_features": {"disk=ssd": "ssd"}},
        slurm_options={"forbid": {"reboot": "why"}, "force": {"wckey": {"value": "k", "because": "so"}}},
    ).policy()
    assert policy.service_accounts == {"data/pipeline"}
    assert policy.node_features == {"disk=ssd": "ssd"}
    assert policy.ids == {10001, 20001, 20002}
    assert policy.stage_paths == ("/scratch",)
    assert policy.slurm == SlurmPolicy({"reboot": "why"}, {"wckey": ("k", "so")})


def test_a_forced_value_that_no_job_could_have_is_refused_with_its_field() -> None:
    with pytest.raises(ValidationError, match=r"slurm_options\.force\n.*mem: 'much' is not like"):
        config(slurm_options={"force": {"mem": {"value": "much", "because": "so"}}})
