"""How scripts are compared that ran by sbatch and as Jobs, and the site that is made for them."""

import re

import pytest

from tests.both_ways import Ran, differences
from tests.both_ways.scripts import COMPONENTS, SCRIPTS, drawn
from tests.both_ways.wanted import MOST_NODES, Wanted, accounting, configuration, node_names, why_not
from tests.cases.__main__ import main


def test_there_are_as_many_scripts_as_were_promised() -> None:
    names = [script.name for script in (*SCRIPTS, *COMPONENTS)]
    assert len(names) == len(set(names)) >= 60
    assert list(drawn()) == list(drawn())


def test_what_differs_is_told() -> None:
    real = Ran({"a": ["0o644", "x", "y"]}, ("|COMPLETED|",), ("|Nice=0",))
    assert differences(real, real) == []
    assert differences(real, Ran({"a": ["0o600", "x", "y"]}, ("|FAILED|",))) == [
        "accounted: sbatch ['|COMPLETED|'], the Job ['|FAILED|']",
        "described: sbatch ['|Nice=0'], the Job []",
        "a: sbatch ['0o644'], the Job ['0o600']",
    ]
    other = Ran({"a": ["0o644", "y", "x"]}, real.accounted, real.described)
    assert differences(real, other) == ["a: other numbers or another order of lines"]
    assert differences(real, other, ordered=False) == []
    refused = Ran(refused="no such queue")
    assert differences(refused, refused) == []
    assert differences(real, refused) == ["sbatch: accepted; the Job: no such queue"]


SPEC = {
    "queue": "gpu",
    "account": "proj@gpu",
    "slurm": {
        "constraint": "(a|b*2)&[c]",
        "gres": "gpu:k1:2,nvme:10",
        "licenses": "tool@here:2",
        "nodelist": "n[01-02],m",
        "partitions": ["x", "y"],
        "qos": "long",
        "components": [{"queue": "z", "slurm": {"gpusPerNode": "k2:1"}}],
    },
}


def test_a_site_has_all_that_scripts_name() -> None:
    wanted = Wanted()
    wanted.add(SPEC)
    names = node_names(wanted, 5)
    assert names == ["node2", "m", "n01", "n02", "sim4"]
    slurm, gres = configuration(wanted, names, "192.0.2.1", 20000)
    assert "GresTypes=gpu,nvme\nLicenses=tool@here:100\n" in slurm
    assert re.search(r"NodeName=node2 NodeAddr=192.0.2.1 CPUs=.*Feature=a,b,c$", slurm, re.MULTILINE)
    assert "NodeName=n01 NodeAddr=192.0.2.1 Port=20002 " in slurm
    assert re.findall(r"PartitionName=(\S+)", slurm) == ["gpu", "main", "x", "y", "z"]
    assert "Name=gpu Type=k1 File=/dev/both[0-7]" in gres
    assert "Name=gpu Type=k2 File=/dev/both[8-15]" in gres
    assert "modify user 'alice' set qos+=long,normal" in list(accounting(wanted, "alice"))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (SPEC, ""),
        ({"nodes": MOST_NODES + 1}, "nodes"),
        ({"slurm": {"components": [{"nodes": MOST_NODES}]}}, "nodes"),
        ({"array": "0-999"}, "1000 elements"),
        ({"slurm": {"plugins": {"uenv": "x"}}}, "plugins"),
        ({"slurm": {"gres": "shard:1"}}, "GPU"),
    ],
)
def test_what_a_lab_cannot_run_is_left_out(spec: dict[str, object], why: str) -> None:
    assert why in why_not(spec)
    assert bool(why) == bool(why_not(spec))


def test_a_lab_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", "no-such-lab"]) == 2
    assert "there is no lab no-such-lab" in capsys.readouterr().err
