"""The commands on Jobs as a user of an installed site types them, from outside of it."""

import json
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_script import read_script
from platformctl.jobs.slurm_files import of_element, of_job, on_node
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
NAMES = [
    *(f"%{letter}" for letter in "AabNnstux%"),
    "%3a",
    "%05A",
    "%2N",
    "%q",
    "x",
    " ",
    "'",
    '"',
    "$HOME",
    "é",
    "\\",
]
MAGIC = ["SBATCH", "SBATCH", "SBATCH", "SLURM"]
SCRIPTS = 500
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
    # The command runs outside of the site, whose hosts do not have its folder.
    words = ("import", "--chdir=/home/alice", "-", "--submit", "--watch", "--target", target)
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


def test_what_no_node_has_is_refused_at_once_and_explained(job: Job) -> None:
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
    text = json.dumps({**document, "spec": spec})
    (made,) = json.loads(job("submit", "-", code=3, text=text, output="json"))
    assert made["phase"] == "Refused"
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


def test_files_are_named_as_slurm_names_them(site: Site) -> None:
    """Jobs that write what their file's name is made of, into the file that Slurm makes for them."""
    source = random.Random("names")
    patterns = ["".join(source.choice(NAMES) for _ in range(4)) + f"{number}%a" for number in range(16)]
    submit = "sbatch --quiet --wait --job-name=train --time=1 --mem=10 --array=17"
    lines = []
    for number, pattern in enumerate(patterns):
        script = f'printf "{number} %s %s" "$SLURM_ARRAY_JOB_ID" "$(hostname -s)"'
        lines.append(f"{submit} --output={shlex.quote(pattern)} --wrap={shlex.quote(script)} &")
    try:
        site.shell("ctl1", "mkdir names; cd names\n" + "\n".join([*lines, "wait"]), user="alice")
        each = 'for name in *; do printf "%s\\0" "$name" "$(cat "$name")"; done'
        found = site.shell("ctl1", f"cd names; {each}", user="alice").split("\0")[:-1]
    finally:
        site.shell("ctl1", "rm -r -f names", user="alice")
    assert len(found) == 2 * len(patterns)
    for name, said in zip(found[::2], found[1::2], strict=True):
        number, array, node = said.split(" ")
        kept = of_job(patterns[int(number)], "train", "alice", array, array=True)
        assert of_element(on_node(kept, node, array=True), 17) == name


def _time_said(text: str) -> int:
    """Minutes of D-HH:MM:SS, where the days may be missing; 0 for no limit."""
    if text == "UNLIMITED":
        return 0
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    assert seconds == 0
    return (int(days or 0) * 24 + hours) * 60 + minutes


def _memory_said(text: str) -> int:
    """MiB of a number with the unit G, T or P, or without one."""
    text = text.rstrip("?")
    return int(text.rstrip("GTP")) << 10 * " GTP".index(text[-1] if text[-1] in "GTP" else " ")


@pytest.mark.parametrize(
    ("option", "pieces", "said"),
    [
        (
            "time",
            [*"00123459", *":::---", "10", "60", "99", " ", "+", "d", "UNLIMITED", "\u0663"],
            _time_said,
        ),
        ("mem", [*"012345", *"KMGTBkmgtb", "1024", "iB", ".", "-", " ", "\u0663"], _memory_said),
        ("nodes", [*"0123", "-", "-", ",", ":", "k", "m", " ", "\u0663"], str),
        ("ntasks", [*"01234", "-", "+", "k", " ", ".5", "\u0663"], int),
        ("cpus-per-task", [*"01234", "-", "+", "k", " ", ".5", "\u0663"], int),
    ],
)
def test_a_value_that_is_taken_means_to_sbatch_what_it_means_here(
    site: Site, option: str, pieces: list[str], said: Callable[[str], int | str]
) -> None:
    """Made-up values. What the import takes, sbatch takes too; it takes more."""
    source = random.Random(option)
    values = ["".join(source.choice(pieces) for _ in range(source.randint(1, 6))) for _ in range(SCRIPTS)]
    texts = [f"#!/bin/sh\n#SBATCH --{option}='{value}'\n:\n" for value in values]
    taken = 0
    for text, answer in zip(texts, _tried(site, texts), strict=True):
        found = convert(text, "a.sh")
        if isinstance(found, Imported):
            taken += 1
            defined = _as_sbatch_reads(answer)
            assert defined is not None, (text, answer)
            assert said(defined[option]) == _amount_here(found, option), (text, defined)
    assert taken > SCRIPTS / 20


def _nodes_said(text: str) -> str:
    """A number or a range of nodes, as sbatch shows it: k and m are powers of 1024."""
    units = {"": 1, "k": 1024, "m": 1024**2}
    text = re.sub(r"(\d+)([km]?)", lambda found: str(int(found[1]) * units[found[2]]), text)
    counts: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        counts |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return "-".join(str(count) for count in dict.fromkeys((min(counts), max(counts))))


def _amount_here(found: Imported, option: str) -> int | str:
    """Minutes of wall time rounded up, MiB of memory, or a number."""
    job = parse(found.job["spec"])
    assert isinstance(job, JobSpec), job
    return {
        "time": -(-(job.walltime or 0) // 60),
        "mem": job.resources.memory // 2**20,
        "nodes": _nodes_said(str(job.slurm.get("nodes", job.nodes or 0))),
        "ntasks": job.tasks,
        "cpus-per-task": job.resources.millicores // 1000,
    }[option]


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
