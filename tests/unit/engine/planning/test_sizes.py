"""Sizes of hosts: read from what hosts say, compared with what was recorded, and passed on."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from platformctl.engine.planning import digest, plan, sizes
from platformctl.engine.planning.plan import RunSelection
from platformctl.engine.planning.record import Records
from platformctl.engine.planning.sizes import Size
from platformctl.engine.stages import STAGES, Sized, Stage
from tests.unit.engine.sites import make_fleet

STAGE = Stage("controller", "controller", sized=Sized("node", ("cpus", "memory"), "margin", "measured"))
HOSTS = {"c1": ("controller",), "n1": ("node",), "n2": ("node",)}


def recorded(**of: str) -> dict[str, str]:
    return {f"size:{name}": text for name, text in of.items()}


def test_a_host_says_its_size_without_starting_a_program() -> None:
    said = subprocess.run(["sh", "-c", f"PATH=; {sizes.ASK}"], capture_output=True, text=True, check=True)
    size, rest = sizes.split(f"noise\n{said.stdout}{{}}")
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    assert size is not None
    assert size.memory_mib == memory // 1024
    assert size.cpus >= 1
    assert rest == "noise\n{}"


def test_an_answer_without_a_size_is_left_as_it_is() -> None:
    assert sizes.split('{"node": {}}') == (None, '{"node": {}}')


@pytest.mark.parametrize(("ranges", "cpus"), [("0", 1), ("0-3", 4), ("0-3,8-9,12", 7)])
def test_cpus_are_counted_by_their_ranges(ranges: str, cpus: int) -> None:
    size, _ = sizes.split(f"platformctl-size {ranges} 2048000\n")
    assert size == Size(cpus, 2000)


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("4 CPUs, 16000 MiB", Size(4, 15900), False),
        ("4 CPUs, 16000 MiB", Size(4, 16100), False),
        ("4 CPUs, 16000 MiB", Size(4, 15800), True),
        ("4 CPUs, 16000 MiB", Size(4, 32000), True),
        ("4 CPUs, 16000 MiB", Size(2, 16000), True),
        ("1 CPU, 2000 MiB", Size(1, 1900), False),
        ("4 CPUs, 500000 MiB", Size(4, 495100), False),
    ],
)
def test_a_small_difference_of_memory_is_none(old: str, new: Size, differs: bool) -> None:
    fleet = make_fleet(HOSTS)
    before = recorded(n1=old)
    assert sizes.expected(STAGE, fleet, {"n1": new}, before) == {
        "n1": new if differs else sizes.of_words(old)
    }
    # A stage that runs for whatever reason gets the size as it is.
    assert sizes.applied(STAGE, fleet, {"n1": new}, before) == {"n1": new}


def test_without_a_margin_each_difference_counts() -> None:
    fleet = make_fleet(HOSTS, {"margin": 0})
    found = sizes.expected(STAGE, fleet, {"n1": Size(4, 15999)}, recorded(n1="4 CPUs, 16000 MiB"))
    assert found == {"n1": Size(4, 15999)}


def test_a_host_that_is_down_keeps_its_size_and_one_of_the_inventory_has_none() -> None:
    fleet = make_fleet(HOSTS, own={"n2": {"cpus": 4, "memory": 1000}})
    found = sizes.applied(STAGE, fleet, {"n2": Size(8, 2000)}, recorded(n1="4 CPUs, 16000 MiB"))
    assert found == {"n1": Size(4, 16000)}
    assert sizes.passed(STAGE, found) == {"measured": {"n1": {"cpus": 4, "memory_mib": 16000}}}
    assert sizes.passed(STAGE, {}) == {}


def test_a_plan_says_what_a_host_has_and_what_was_recorded(tmp_path: Path) -> None:
    fleet = make_fleet(HOSTS)
    before = sizes.parts({"n1": Size(4, 16000), "n2": Size(4, 16000)})
    kept = digest.StageDigest(STAGE, fleet, tmp_path, {}, before).parts("c1")
    records = Records(
        {"c1": {"controller": {"parts": kept}}}, sizes={"n1": Size(4, 12000), "n2": Size(4, 16000)}
    )
    chosen = RunSelection(frozenset(HOSTS), frozenset({"controller"}))
    (step,) = plan.make((STAGE,), fleet, records, chosen, tmp_path, {}).steps
    assert step.reasons == ("n1 has 4 CPUs, 12000 MiB, recorded are 4 CPUs, 16000 MiB",)
    same = replace(records, sizes={"n1": Size(4, 15900)})
    assert plan.make((STAGE,), fleet, same, chosen, tmp_path, {}).steps == ()


def test_the_variables_of_the_table_are_those_of_the_role() -> None:
    (sized,) = (stage.sized for stage in STAGES if stage.sized)
    role = Path(__file__).parents[4] / "roles" / "slurm_controller"
    assert {*sized.given, sized.margin} <= digest.declared(role)
    assert f"combine({sized.passed} | default({{}}))" in (role / "vars" / "main.yml").read_text()
