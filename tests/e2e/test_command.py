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
]
BEFORE = [" #SBATCH -n 9", "# x", "", "   ", "#sbatch -n9", "##SBATCH -n 9", ": "]
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
    """Random lines: what sbatch takes for options, and what it refuses."""
    seed = random.randrange(10**6)
    texts = [_random_script(random.Random(f"{seed}-{number}")) for number in range(100)]
    for text in texts:
        said = site.host(
            "ctl1",
            "sh",
            "-c",
            'printf %s "$1" > /tmp/directives && sbatch -v --test-only /tmp/directives 2>&1; true',
            "sh",
            text,
        )
        assert _as_read_here(text) == _as_sbatch_reads(said), (seed, text, said)


def _random_script(source: random.Random) -> str:
    def some(most: int) -> str:
        return "".join(source.choice(PIECES) for _ in range(source.randint(1, most)))

    lines = [f"#SBATCH --comment={some(6)}", f"#SBATCH --comment={some(4)}"]
    return "\n".join(["#!/bin/sh", source.choice(BEFORE), *lines[: source.randint(1, 2)], "hostname", ""])


def _as_read_here(text: str) -> dict[str, str] | None:
    script = read_script(text)
    if script.mistakes:
        return None
    found = {found.option.name: found.value.rstrip(" ") for found in script.directives}
    return None if not found.get("ntasks", "1").isdigit() else found


def _as_sbatch_reads(said: str) -> dict[str, str] | None:
    defined = re.search(r"defined options\n(.*?)end of defined options", said, re.DOTALL)
    if defined is None:
        return None
    found = dict(re.findall(r"^sbatch: ([a-z-]+) +: ?(.*?) *$", defined[1], re.MULTILINE))
    return {name: value for name, value in found.items() if name not in ("test-only", "verbose")}
