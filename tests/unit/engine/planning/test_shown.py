"""Which values of variables a plan shows, and that none of them is a secret."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from platformctl.engine.planning import digest, plan, shown
from platformctl.engine.planning.plan import RunSelection
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import Stage
from tests.unit.engine.sites import Hosts, make_fleet

STAGE = Stage("node", "node", ("node",))


def test_numbers_truth_values_and_plain_texts_are_shown() -> None:
    given = {"port": 6818, "on": True, "off": False, "share": 0.5, "path": "/srv/x", "net": "10.0.0.0/16"}
    assert shown.values(given, given, ()) == {
        **{"port": "6818", "on": "true", "off": "false", "share": "0.5"},
        **{"path": "/srv/x", "net": "10.0.0.0/16"},
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("options", {"password": "hunter2"}),
        ("list", ["hunter2"]),
        ("empty", ""),
        ("none", None),
        ("long", "x" * 49),
        ("words", "two words"),
        ("address", "http://user:hunter2@proxy.example"),
        ("jinja", "{{ other }}"),
        ("secret_munge_key", "abc"),
        ("slurm_accounting_database_root_password", "abc"),
        ("site_http_proxy", "http://proxy.example:3128"),
        ("api_token", "abc"),
        ("plain", "hunter2"),
        ("around", "x-hunter2-x"),
    ],
)
def test_what_may_be_a_secret_or_hold_one_is_not_shown(name: str, value: object) -> None:
    assert shown.values([name, "missing"], {name: value}, ("hunter2",)) == {}


async def test_a_plan_says_what_a_variable_was_and_becomes(role: Callable[..., Path], hosts: Hosts) -> None:
    data = role("node", "port", "secret_key", "gone", "come")
    before = {"port": 1, "secret_key": "old", "gone": "a"}
    after = {"port": 2, "secret_key": "new", "come": "b"}
    fleets = [make_fleet({"n1": ("node",)}, values) for values in (before, after)]
    records = Records({})
    present = digest.StageDigest(STAGE, fleets[0], data, {})
    await records.store(
        fleets[0].hosts["n1"], "node", present.parts("n1"), present.prints("n1"), present.shown("n1")
    )
    kept = (hosts.folder("192.0.2.11") / "digests.json").read_text()
    assert '"port": "1"' in kept
    assert '"old"' not in kept
    selection = RunSelection(frozenset({"n1"}), frozenset({"node"}))
    (step,) = plan.make((STAGE,), fleets[1], records, selection, data, {}).steps
    assert step.reasons == (
        "variable come is new: b",
        "variable gone is gone, it was a",
        "variable port changed from 1 to 2",
        "variable secret_key changed",
    )
    # A value that cannot be shown leaves the other one.
    mixed = replace(fleets[1], secrets=("2",))
    (step,) = plan.make((STAGE,), mixed, records, selection, data, {}).steps
    assert "variable port changed from 1" in step.reasons
