"""The commands on Jobs as a user of an installed site types them, from outside of it."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl.jobs.sbatch_script import read_script
from tests.e2e.conftest import Site, platformctl

OFFERED = Path(__file__).parents[1] / "unit/jobs/sbatch/options-24.11.txt"
PIECES = [
    "a",
    "b",
    "#",
    '"',
    "'",
    "\\",
    " ",
    " ",
    "\t",
    "=",
    "x y",
    '\\"',
    "--",
    "-n 2",
    "-J",
    "--comment",
    "$X",
    "~",
    "''",
    "\\\t",
    "\v",
    "\u00a0",
    ":",
]
MAGIC = ["SBATCH", "SBATCH", "SBATCH", "SLURM"]
SCRIPTS = 1000
BEFORE = [" #SBATCH -n 9", "# x", "", " \t\v ", "\u00a0", "#sbatch -n9", "##SBATCH -n 9", ": "]
SCRIPT = """#!/bin/bash
#SBATCH -J hello -t 5 --mem=64
#SBATCH --export=WHO=world
echo "hello $WHO"
echo "line two"
exit 3
"""

type Job = Callable[..., str]


@pytest.fixture
def job(site: Site, tmp_path: Path) -> Job:
    """Runs `platformctl job WORDS` as alice; it must exit with `code`."""
    kubeconfig = tmp_path / "alice.kubeconfig"
    site.run("kubeconfig", "--user", "alice", "--file", str(kubeconfig))

    def run(*words: str, code: int = 0, text: str = "", output: str = "text") -> str:
        done = platformctl("-o", output, "job", *words, "--kubeconfig", str(kubeconfig), data=text)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_a_script_of_sbatch_runs_and_its_output_is_read(job: Job, target: str) -> None:
    words = ("import", "-", "--submit", "--watch", "--target", target)
    (found,) = json.loads(job(*words, code=1, text=SCRIPT, output="json"))
    assert (found["phase"], found["backend"], found["exitCode"]) == ("Failed", target, 3), found
    name = found["name"]
    assert job("logs", name) == "hello world\nline two\n"
    assert job("logs", name, "-f", "--tail", "1") == "line two\n"
    assert "exit code" in job("describe", name)
    assert name in job("list", "--phase", "Failed")
    job("cancel", "--delete", name)


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_a_running_job_is_cancelled_and_tried_again(job: Job, target: str) -> None:
    script = "#!/bin/sh\nsleep 300\n"
    (made,) = json.loads(job("submit", "-", "--target", target, text=script, output="json"))
    name = made["name"]
    assert "cancelling" in job("cancel", name)
    (ended,) = json.loads(job("wait", name, code=1, output="json"))
    assert ended["phase"] == "Cancelled"
    assert "attempt 2" in job("retry", name)
    job("cancel", "--delete", name)


def test_what_no_node_has_is_explained(job: Job) -> None:
    template = {
        "spec": {
            "containers": [
                {
                    "name": "x",
                    "image": "perl:5.34.0",
                    "command": ["true"],
                    "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
                }
            ]
        }
    }
    spec = {"template": template, "target": "kubernetes"}
    document = {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": {"generateName": "gpu-"}}
    (made,) = json.loads(job("submit", "-", text=json.dumps({**document, "spec": spec}), output="json"))
    assert "nvidia.com/gpu" in job("explain", made["name"])
    job("cancel", "--delete", made["name"])


def test_the_sites_sbatch_has_the_options_of_the_table(site: Site) -> None:
    found = {line.strip() for line in site.host("ctl1", "sbatch", "--autocomplete=--").splitlines()}
    expected = {line.strip() for line in OFFERED.read_text().splitlines() if not line.startswith("# ")}
    assert found - {""} == expected


def test_directives_are_read_as_sbatch_reads_them(site: Site) -> None:
    """Made-up lines: what sbatch takes for options, and what it refuses."""
    texts = [_made_up_script(random.Random(number)) for number in range(SCRIPTS)]
    for text, said in zip(texts, _tried(site, texts), strict=True):
        assert _as_read_here(text) == _as_sbatch_reads(said), (text, said)


def _tried(site: Site, texts: list[str]) -> list[str]:
    """What sbatch says of each."""
    each = (
        'for text; do printf %s "$text" > /tmp/script; sbatch -v --test-only /tmp/script 2>&1; echo @@; done'
    )
    return site.host("ctl1", "sh", "-c", each, "sh", *texts).split("@@\n")[:-1]


def _made_up_script(source: random.Random) -> str:
    def line(most: int) -> str:
        some = "".join(source.choice(PIECES) for _ in range(source.randint(1, most)))
        return f"#{source.choice(MAGIC)} --comment{source.choice('= ')}{some}"

    lines = [line(6), line(4)]
    return "\n".join(["#!/bin/sh", source.choice(BEFORE), *lines[: source.randint(1, 2)], "hostname", ""])


def _as_read_here(text: str) -> dict[str, str] | None:
    script = read_script(text)
    if script.mistakes:
        return None
    given = [(found.option.name, found.value.rstrip(" ")) for found in script.directives]
    wrong = any(name == "ntasks" and not value.isdigit() for name, value in given)
    return None if wrong else dict(given)


def _as_sbatch_reads(said: str) -> dict[str, str] | None:
    defined = re.search(r"defined options\n(.*?)end of defined options", said, re.DOTALL)
    if defined is None:
        return None
    found = dict(re.findall(r"^sbatch: ([a-z-]+) +: ?(.*?) *$", defined[1], re.MULTILINE))
    return {name: value for name, value in found.items() if name not in ("test-only", "verbose")}
