"""Which hosts are installed for new nodes."""

import pytest

from platformctl.engine.running import addition
from platformctl.engine.stages import STAGES
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet(
    {
        "ctl1": ("slurm_controller", "kubernetes_control_plane"),
        "n1": ("slurm_node",),
        "n2": ("kubernetes_node",),
        "n3": ("slurm_node", "kubernetes_node"),
        "login1": ("munge",),
    }
)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["n2"], ("n2",)),
        (["n1"], ("ctl1", "n1")),
        (["n3", "n2"], ("ctl1", "n2", "n3")),
    ],
)
def test_only_the_new_nodes_and_slurms_controllers(names, chosen):
    assert addition.hosts(FLEET, names) == chosen


def test_only_the_stages_that_new_nodes_need():
    of_slurm = addition.stages(FLEET, ["n1"], STAGES)
    assert {"base", "slurm_controller", "slurm_node", "charts", "preflight", "artifacts"} <= set(of_slurm)
    assert not {"kubernetes_node", "kubernetes_addons", "verify", "munge"} & set(of_slurm)
    assert "kubernetes_node" in addition.stages(FLEET, ["n2"], STAGES)


@pytest.mark.parametrize(("name", "what"), [("n9", "has no host n9"), ("login1", "is in no group of nodes")])
def test_what_is_no_node_is_refused(name, what):
    with pytest.raises(PlatformError, match=what):
        addition.hosts(FLEET, ["n1", name])
