"""Which hosts are installed for new nodes."""

import pytest

from platformctl.engine.running import addition
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


@pytest.mark.parametrize(("name", "what"), [("n9", "has no host n9"), ("login1", "is in no group of nodes")])
def test_what_is_no_node_is_refused(name, what):
    with pytest.raises(PlatformError, match=what):
        addition.hosts(FLEET, ["n1", name])
