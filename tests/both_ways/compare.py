"""Submits scripts both ways, waits until all have ended, and reads what they left."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

_HERE = Path(__file__).parent
# Like those of a login, and within what the lab's hosts allow.
_LIMITS = {"NOFILE": 1024, "CORE": 0, "STACK": 8 * 2**20, "NPROC": 4096}
# Variables that differ by their nature: ids, and times.
_OWN = re.compile(
    r"(SLURM_(JOB_?ID|ARRAY_JOB_ID|JOB_(START|END)_TIME|TASK_PID|HET_JOB_ID\w*)|XDG_SESSION_ID|XDG_RUNTIME_DIR|_)="
    # A step may end before its signal arrives.
    r"|slurmstepd\S* error: _handle_signal_container: failed signal"
    # Which tasks srun names together depends on when they ended.
    r"|srun: error: \S+ tasks? \S+ Exited with exit code"
)
# The copy of the script that runs: slurmd's, or in an array the router's.
_COPY = re.compile(r"/var/lib/slurm/slurmd(/\w+)?/job\d+/slurm_script|/tmp/tmp\.\w+/script")
_NODE = re.compile(r"\b(sim|g?node)\d+\b")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_ACCOUNTED = (
    "State,ExitCode,DerivedExitCode,ReqTRES,AllocTRES,TimelimitRaw,Partition,Account,QOS,JobName,NNodes,"
    "Constraints,Licenses,Restarts,WCKey,Reservation"
)
# What only slurmctld knows of a job. Not its comment, in which the router keeps which Job it is.
_DESCRIBED = (
    *("Features", "OverSubscribe", "Contiguous", "Network", "NumTasks", "CPUs/Task"),
    *("ReqB:S:C:T", "Socks/Node", "NtasksPerN:B:S:C", "CoreSpec", "MinCPUsNode", "MinMemoryNode"),
    *("MinMemoryCPU", "MinTmpDiskNode", "DelayBoot", "Dependency", "ReqNodeList", "ExcNodeList", "MailUser"),
    *("MailType", "Nice", "TimeMin", "TresPerJob", "TresPerNode", "TresPerTask", "TresBind", "CpusPerTres"),
    *("MemPerTres", "NtasksPerTRES", "Power", "Switches", "OpenMode", "Deadline", "StdIn"),
    *("KillOInInvalidDependent", "Shared", "CPU_max_freq", "ThreadSpec", "Prefer", "ArrayTaskThrottle"),
)


class Site(Protocol):
    """A site on a lab."""

    def host(self, name: str, *command: str, user: str = "root", code: int = 0, data: str = "") -> str:
        """What a command on a host prints."""
        ...

    def kubectl(self, *arguments: str) -> str:
        """Kubectl as the cluster's administrator."""
        ...


@dataclass(frozen=True)
class Script:
    """A script. options: typed before it. code: its exit status, and state: Slurm's where that says more.

    text: UTF-8, other bytes as surrogates. whole: it needs all of the node, so it is submitted last and holds
    nobody up.
    """

    name: str
    text: str
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    code: int = 0
    state: str = ""
    umask: str = "0022"
    limits: Mapping[str, int] = field(default_factory=dict)
    file: str = "job.sh"
    whole: bool = False


@dataclass(frozen=True)
class Ran:
    """What a script left: by name of its files their modes and lines, what is accounted, and described.

    refused: what the command said instead.
    """

    files: dict[str, list[str]] = field(default_factory=dict)
    accounted: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    refused: str = ""


def run_both(
    site: Site,
    scripts: Sequence[Script],
    kubeconfig: Path,
    root: str = "/home/alice/both",
    seconds: float = 900,
    own: Sequence[str] = (),
) -> dict[str, tuple[Ran, Ran]]:
    """What sbatch and what the Job left, by the names of scripts. own: options of `platformctl sbatch`."""
    sent = [
        {**asdict(script), "place": str(number), "limits": {**_LIMITS, **script.limits}}
        for number, script in enumerate(scripts)
    ]
    site.host("ctl1", "rm", "-rf", "--", root)
    asked = {"root": root, "host": "ctl1", "kubeconfig": str(kubeconfig), "own": list(own)}
    ids: dict[str, str] = {}
    refused: dict[str, str] = {}
    states = _Watch(site, seconds)
    for whole in (False, True):
        answers = _submitted(site, asked, [one for one in sent if one["whole"] is whole])
        for place, (text, error) in answers.items():
            (refused if error else ids)[place] = error or text
        states.describe()
    jobs = {place: name for place, name in ids.items() if place.startswith("made/")}
    slurm_ids, never = states.submitted(jobs)
    ids = {place: slurm_ids.get(place, text) for place, text in ids.items() if place not in never}
    states.ended(ids)
    return _results(scripts, _read(site, root, ids, states.described), refused | never)


def _submitted(
    site: Site, asked: Mapping[str, Any], scripts: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """For each place the id or the Job's name, or why there is none."""
    real = _on_host(site, "submit", {"root": asked["root"], "scripts": scripts})
    made = _typed({**asked, "scripts": scripts, "environment": real["environment"]})
    places = [script["place"] for script in scripts]
    return {
        f"{kind}/{place}": (answer["said"], answer["error"])
        for kind, answers in (("real", real["answers"]), ("made", made))
        for place, answer in zip(places, answers, strict=True)
    }


def _results(
    scripts: Sequence[Script], ran: Mapping[str, Ran], refused: Mapping[str, str]
) -> dict[str, tuple[Ran, Ran]]:
    def of(place: str) -> Ran:
        return Ran(refused=refused[place]) if place in refused else ran[place]

    return {
        script.name: (of(f"real/{number}"), of(f"made/{number}")) for number, script in enumerate(scripts)
    }


def differences(real: Ran, made: Ran, ordered: bool = True) -> list[str]:
    """What the Job left otherwise, in words; none if both are the same.

    ordered: whether the order of lines counts; lines of tasks beside each other have none.
    """
    if real.refused and made.refused:
        return []
    if real.refused or made.refused:
        return [f"sbatch: {real.refused or 'accepted'}; the Job: {made.refused or 'accepted'}"]
    found = [
        f"{what}: sbatch {sorted(set(one) - set(other))}, the Job {sorted(set(other) - set(one))}"
        for what, one, other in (
            ("accounted", real.accounted, made.accounted),
            ("described", real.described, made.described),
            ("files", real.files, made.files),
        )
        if set(one) != set(other)
    ]
    for name in sorted(set(real.files) & set(made.files)):
        one, other = real.files[name], made.files[name]
        if one == other or (not ordered and sorted(one) == sorted(other)):
            continue
        only = [line for line in one if line not in other]
        added = [line for line in other if line not in one]
        what = (
            f"sbatch {only}, the Job {added}" if only or added else "other numbers or another order of lines"
        )
        found.append(f"{name}: {what}")
    return found


class _Watch:
    """Waits for jobs, and keeps how slurmctld described them, which it forgets after their end."""

    def __init__(self, site: Site, seconds: float) -> None:
        self._site, self._until = site, time.monotonic() + seconds
        self.described: dict[str, dict[str, dict[str, str]]] = {}

    def submitted(self, jobs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Slurm's ids by place, and why others never get one."""
        left, found, never = dict(jobs), {}, {}
        while left and time.monotonic() < self._until:
            listed = json.loads(self._site.kubectl("get", "jobs.kfoundry.io", "-n", "default", "-o", "json"))
            by_name = {item["metadata"]["name"]: item.get("status") or {} for item in listed["items"]}
            for place, name in list(left.items()):
                status = by_name.get(name, {})
                if re.match(r"\d+", str(status.get("backendId"))):
                    found[place] = re.match(r"\d+", status["backendId"])[0]  # type: ignore[index]
                elif status.get("phase") in ("Refused", "Failed"):
                    never[place] = str(status.get("reason") or status.get("message"))
                else:
                    continue
                del left[place]
            self.describe()
            time.sleep(0.5)
        return found, never | dict.fromkeys(left, "was not submitted in time")

    def ended(self, ids: Mapping[str, str]) -> None:
        """Wait until none of them is in the queue."""
        left = []
        while time.monotonic() < self._until:
            wanted = f"--jobs={','.join(ids.values())}"
            listed = self._site.host("ctl1", "squeue", "--noheader", wanted, "--format=%i %T %r")
            self.describe()
            left = listed.splitlines()
            if not left:
                return
            time.sleep(1)
        raise AssertionError(f"these have not ended: {left}")

    def describe(self) -> None:
        """Note all jobs that slurmctld knows now."""
        for line in self._site.host("ctl1", "scontrol", "--oneliner", "--all", "show", "jobs").splitlines():
            fields = dict(re.findall(r"(?:^| )([A-Za-z][\w/:]*)=(\S*)", line))
            job = fields.get("HetJobId") or fields.get("ArrayJobId") or fields.get("JobId", "")
            if job:
                which = fields.get("HetJobOffset") or fields.get("ArrayTaskId") or ""
                self.described.setdefault(job, {})[which] = fields


def _read(
    site: Site, root: str, ids: Mapping[str, str], described: Mapping[str, dict[str, dict[str, str]]]
) -> dict[str, Ran]:
    files = _on_host(site, "look", {"root": root})
    wanted = f"--jobs={','.join(ids.values())}"
    query = (
        "-X",
        "--noheader",
        "--parsable2",
        "--duplicates",
        wanted,
        f"--format=JobID,JobIDRaw,{_ACCOUNTED}",
    )
    accounted: dict[str, list[str]] = {}
    names: dict[str, dict[str, str]] = {}
    for line in site.host("ctl1", "sacct", *query).splitlines():
        shown, raw, rest = line.split("|", 2)
        job, element = re.match(r"(\d+)(.*)", shown).groups()  # type: ignore[union-attr]
        accounted.setdefault(job, []).append(f"{element}|{rest}")
        names.setdefault(job, {})[raw] = f"ID{element}"
    for job in ids.values():
        names.setdefault(job, {})[job] = "ID"

    def known(place: str) -> dict[str, str]:
        # The other's too: a number that is the id of one of them may stand for something else on both sides.
        kind, _, number = place.partition("/")
        twin = ids.get(f"{'made' if kind == 'real' else 'real'}/{number}", "")
        return {**names.get(twin, {}), **names[ids[place]]}

    return {
        place: _ran(root, place, files[place], known(place), accounted.get(job, []), described.get(job, {}))
        for place, job in ids.items()
    }


def _ran(
    root: str,
    place: str,
    files: Mapping[str, tuple[str, str | None]],
    known: Mapping[str, str],
    accounted: Sequence[str],
    described: Mapping[str, Mapping[str, str]],
) -> Ran:
    ids = re.compile(rf"(?<!\d)({'|'.join(sorted(known, key=len, reverse=True))})(?!\d)")

    def same(text: str) -> str:
        text = text.replace(f"{root}/{place}", "FOLDER")
        text = _MOMENT.sub("MOMENT", _COPY.sub("SCRIPT", _NODE.sub("NODE", text)))
        return ids.sub(lambda match: known[match[1]], text)

    left = {
        same(name): [mode, *(same(line) for line in (text or "").split("\n") if not _OWN.match(line))]
        for name, (mode, text) in files.items()
        if not name.endswith(".sh")
    }
    states = [
        f"{which}|{same(f'{name}={fields[name]}')}"
        for which, fields in described.items()
        # Elements of an array that wait together are described as one, for a while.
        if not which or which.isdigit()
        for name in _DESCRIBED
        if name in fields
    ]
    return Ran(left, tuple(sorted(map(same, accounted))), tuple(sorted(states)))


def _on_host(site: Site, what: str, asked: Mapping[str, Any]) -> Any:
    program = (_HERE / "on_host.py").read_text()
    site.host("ctl1", "sh", "-c", "cat >/tmp/on_host.py && chmod 644 /tmp/on_host.py", data=program)
    command = f"python3 /tmp/on_host.py {what}"
    return json.loads(site.host("ctl1", "su", "-", "alice", "-c", command, data=json.dumps(asked)))


def _typed(asked: Mapping[str, Any]) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.both_ways.typed"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        cwd=_HERE.parents[1],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
