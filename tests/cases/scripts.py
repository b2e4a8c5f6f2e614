"""Scripts for sbatch: those of a folder, or one made for each option of the table."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from platformctl.jobs.fields import Handling
from platformctl.jobs.sbatch import Imported, convert
from platformctl.jobs.sbatch_environment import Caller
from platformctl.jobs.sbatch_options import OPTIONS, PLUGIN_OPTIONS, Option, Takes
from tests.cases.case import Case

KIND = "sbatch"
CALLER = Caller(
    folder="/home/alice/run",
    host="login1.example.org",
    now=datetime(2027, 1, 15, 8, tzinfo=UTC),
    environment={"HOME": "/home/alice", "PATH": "/usr/bin:/bin", "DATASET": "one"},
    limits={"NOFILE": "1024"},
    umask="0022",
    whole=True,
    read=lambda _: "node1 node2\n" if _ == "nodes" else "SEED=1\n",
)
# A value of each option that has one; other options have a number.
EXAMPLES = {
    "account": "proj@gpu", "array": "[0-4]%2", "acctg-freq": "30", "batch": "haswell", "bb":
    "capacity=10", "begin": "now+1hour", "chdir": "run", "clusters": "here", "comment": "remark",
    "constraint": "a&b", "cpu-freq": "high", "deadline": "2027-02-01T12:00", "delay-boot": "10",
    "dependency": "afterok:4711", "distribution": "block:cyclic", "error": "%x.err", "exclude":
    "node[3-4]", "exclusive": "user", "export": "ALL,SEED=1", "export-file": "variables",
    "extra-node-info": "2:4:1", "gpu-bind": "closest", "gpu-freq": "high", "gpus": "kind1:2",
    "gpus-per-node": "2", "gpus-per-socket": "1", "gpus-per-task": "1", "gres": "gpu:kind1:2,scratch:50G",
    "gres-flags": "enforce-binding", "hint": "nomultithread", "input": "in.txt", "job-name": "train",
    "kill-on-invalid-dep": "yes", "licenses": "fluent:2", "mail-type": "END,FAIL", "mail-user":
    "alice@example.org", "mem": "0", "mem-bind": "local", "mem-per-cpu": "2G", "mem-per-gpu": "8G",
    "network": "ib", "no-kill": "off", "nodefile": "nodes", "nodelist": "node[1-2]", "nodes": "2-4",
    "oom-kill-step": "1", "open-mode": "append", "output": "logs/%x-%j.out", "partition": "small,large",
    "prefer": "fast", "profile": "task", "propagate": "NOFILE", "qos": "long", "reservation": "course",
    "signal": "B:USR1@120", "switches": "1@10:00", "time": "1-12", "time-min": "10", "tmp": "10G",
    "tres-bind": "gres/gpu:closest", "tres-per-task": "cpu=2,gres/gpu:1", "wait-all-nodes": "1",
    "core-spec": "1",
}  # fmt: skip


def counted(folder: Path | None) -> list[Case]:
    """Each script of a folder, or of those made here."""
    return [case_of(name, text) for name, text in of(folder)]


def of(folder: Path | None) -> Iterator[tuple[str, str]]:
    """The names and texts of a folder's scripts, or of those made here."""
    return _of_folder(folder) if folder else made()


def case_of(name: str, text: str) -> Case:
    """Whether a script is accepted without an edit, an option, or a word about which Job is meant."""
    found = convert(text, name, caller=CALLER)
    reasons = () if isinstance(found, Imported) else tuple(map(str, found))
    return Case(KIND, name, "slurm", reasons)


def made() -> Iterator[tuple[str, str]]:
    """A script for each option that is not refused, with a usual value."""
    for option in (*OPTIONS, *PLUGIN_OPTIONS.values()):
        if option.handling is not Handling.REFUSED:
            yield f"{option.name}.sh", f"#!/bin/bash\n#SBATCH {typed(option)}\nsrun hostname\n"


def typed(option: Option) -> str:
    """The option as people write it."""
    if option.takes is Takes.NOTHING:
        return f"--{option.name}"
    return f"--{option.name}={EXAMPLES.get(option.name, '2')}"


def _of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.sh")):
        data = path.read_bytes()
        try:
            yield path.name, data.decode()
        except UnicodeDecodeError:
            yield path.name, data.decode("latin-1")
