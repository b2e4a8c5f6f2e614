"""The CIS benchmark's controls on the installed site: docs/cis.md says what is met, and what is not.

A control that is met by now, though the page says that it is not, fails here as well: then change its answer
in cis.yml.
"""

import pytest

from tests.cis import Control, controls, script
from tests.e2e.conftest import Site


@pytest.mark.parametrize("host", ["ctl1", "node1"])
def test_the_answers_are_true(site: Site, host: str) -> None:
    wanted = [
        control for control in controls() if control.check and (host == "ctl1" or control.where == "nodes")
    ]
    printed = site.host(host, "sh", data=script(wanted)).split()
    found = dict(zip(printed[::2], printed[1::2], strict=True))
    assert list(found) == [control.number for control in wanted]
    untrue = [control for control in wanted if (found[control.number] == "0") != (control.answer == "met")]
    assert not untrue, "\n".join(map(_said, untrue))


def _said(control: Control) -> str:
    """For people: what the page says, and the check that says something else."""
    return f"{control.number} is said to be {control.answer}: {control.asks}\n{control.check}"
