"""RDMA locks the memory of its buffers, so pods and jobs of hosts with RDMA may lock all they need."""

import json

import pytest

from tests.ansible_files import role_value

_RDMA = [{"kind": "gpu", "files": ["/dev/nvidia0"]}, {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"]}]


@pytest.mark.parametrize(
    ("devices", "given", "limits"),
    [
        ([], {}, {}),
        (_RDMA[:1], {"LimitNOFILE": "1048576"}, {"LimitNOFILE": "1048576"}),
        (_RDMA, {}, {"LimitMEMLOCK": "infinity"}),
        (_RDMA, {"LimitMEMLOCK": "64G"}, {"LimitMEMLOCK": "64G"}),
    ],
)
def test_pods_may_lock_memory_where_there_is_rdma(devices, given, limits):
    variables = {"node_devices": devices, "containerd_service_limits": given}
    assert json.loads(role_value("containerd", "_containerd_limits | to_json", **variables)) == limits


@pytest.mark.parametrize(
    ("devices", "given", "options"),
    [
        ([], {"KillWait": 60}, {"KillWait": 60}),
        (_RDMA, {}, {"PropagateResourceLimitsExcept": "MEMLOCK"}),
        (_RDMA, {"PropagateResourceLimits": "NONE"}, {"PropagateResourceLimits": "NONE"}),
        (_RDMA, {"PropagateResourceLimitsExcept": "CORE"}, {"PropagateResourceLimitsExcept": "CORE"}),
    ],
)
def test_jobs_have_the_limit_of_slurmd_where_there_is_rdma(devices, given, options):
    variables = {
        "groups": {"slurm_node": ["n1", "n2"]},
        "hostvars": {"n1": {}, "n2": {"node_devices": devices}},
        "slurm_controller_options": given,
    }
    found = role_value("slurm_controller", "_slurm_controller_options | to_json", **variables)
    assert json.loads(found) == options
