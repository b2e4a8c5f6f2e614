"""How values of `spec.slurm` are written for slurmrestd: small functions from a value to fields of its job.

Names and shapes are those of job_desc_msg (v0.0.39 and later). v0.0.38 takes sbatch's own text for most
options, under names of its own. If two options write the same field, `merged` joins their values.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from platformctl.jobs.slurm_kinds import mebibytes, moment

type Wire = Callable[[Any], dict[str, Any]]
"""From a checked value of the API to slurmrestd's fields."""

_SIGNAL = re.compile(r"(?:(?P<whom>[RBrb]{1,2}):)?(?P<signal>\w+)(?:@(?P<delay>\d+))?", re.ASCII)
_WHOM = {"R": "RESERVATION_JOB", "B": "BATCH_JOB"}
# sbatch's names of mail types, and slurmrestd's where they differ.
MAILS = {
    **{name: name for name in ("BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT", "ARRAY_TASKS")},
    "INVALID_DEPEND": "INVALID_DEPENDENCY",
    "TIME_LIMIT": "TIME=100%",
    **{f"TIME_LIMIT_{part}": f"TIME={part}%" for part in (90, 80, 50)},
}
_SHARING = {"node": "none"}
# sbatch has three more, about sharing GPUs, for which slurmrestd has no flags.
_GRES_FLAGS = {"disable-binding": "GRES_BINDING_DISABLED", "enforce-binding": "GRES_BINDING_ENFORCED"}
GRES_FLAGS = tuple(_GRES_FLAGS)


def same(field: str) -> Wire:
    """The value as it is."""
    return lambda value: {field: value}


def counted(field: str) -> Wire:
    """A number that may be unset."""
    return lambda value: {field: {"set": True, "number": value}}


def fixed(field: str, sent: Any) -> Wire:
    """Always the same value for `true`; nothing for `false`."""
    return lambda value: {field: sent} if value else {}


def flagged(word: str, otherwise: str = "") -> Wire:
    """A flag of the job for `true`, another one, if there is one, for `false`."""

    def wire(value: Any) -> dict[str, Any]:
        chosen = word if value else otherwise
        return {"flags": [chosen]} if chosen else {}

    return wire


def prefixed(field: str, prefix: str) -> Wire:
    """A trackable resource and its amount: `gres/gpu:2`."""
    return lambda value: {field: f"{prefix}{value}"}


def nothing(_: Any) -> dict[str, Any]:
    """Not part of the job: it acts through the environment."""
    return {}


def memory(field: str) -> Wire:
    """An amount of memory in MiB."""
    return lambda value: {field: {"set": True, "number": mebibytes(value)}}


def memory_of_gpu(value: Any) -> dict[str, Any]:
    """Memory for each GPU."""
    return {"memory_per_tres": f"gres/gpu:{mebibytes(value)}"}


def disk(value: Any) -> dict[str, Any]:
    """Temporary disk of a node in MiB."""
    return {"temporary_disk_per_node": mebibytes(value)}


def gres(value: Any) -> dict[str, Any]:
    """Devices of a node, each with its prefix; `none` asks for nothing."""
    items = [item if item.startswith("gres/") else f"gres/{item}" for item in value.split(",")]
    return {} if value.lower() == "none" else {"tres_per_node": ",".join(items)}


def plain_gres(value: Any) -> dict[str, Any]:
    """Devices of a node for v0.0.38."""
    return {"gres": ",".join(item.removeprefix("gres/") for item in value.split(","))}


def epoch(field: str) -> Wire:
    """A point of time."""
    return lambda value: {field: moment(value)}


def plain_epoch(field: str) -> Wire:
    """A point of time for v0.0.38."""
    return lambda value: {field: f"uts{moment(value)}"}


def sharing(value: Any) -> dict[str, Any]:
    """Who may share the job's nodes."""
    return {"shared": [_SHARING.get(value, value)]}


def plain_sharing(value: Any) -> dict[str, Any]:
    """Who may share the job's nodes, for v0.0.38."""
    return {"exclusive": "exclusive" if value == "node" else value}


def mails(value: Any) -> dict[str, Any]:
    """What mail is sent for."""
    return {"mail_type": [MAILS[name] for name in value]}


def listed(field: str) -> Wire:
    """Words as one text, with commas."""
    return lambda value: {field: ",".join(value)}


def uppercase(field: str) -> Wire:
    """Words in upper case, as a list."""
    return lambda value: {field: [word.upper() for word in value]}


def open_mode(value: Any) -> dict[str, Any]:
    """Whether files are appended to."""
    return {"open_mode": [value.upper()]}


def gres_flags(value: Any) -> dict[str, Any]:
    """How devices are bound to cores and tasks."""
    return {"flags": [_GRES_FLAGS[value]]}


def signal(value: Any) -> dict[str, Any]:
    """The signal before the time limit: `[B:]NAME[@SECONDS]`, 60 seconds if it does not say."""
    match = _SIGNAL.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a signal")
    fields: dict[str, Any] = {
        "kill_warning_signal": match["signal"],
        "kill_warning_delay": {"set": True, "number": int(match["delay"] or 60)},
    }
    whom = [_WHOM[letter] for letter in (match["whom"] or "").upper()]
    return fields | ({"kill_warning_flags": whom} if whom else {})


def signal_name(value: str) -> str:
    """The signal's name without SIG, or its number, of a value like `B:SIGUSR1@60`."""
    match = _SIGNAL.fullmatch(value)
    return match["signal"].upper().removeprefix("SIG") if match else ""


def switches(value: Any) -> dict[str, Any]:
    """`COUNT[@SECONDS]`: the most switches, and how long to wait for that."""
    count, _, seconds = value.partition("@")
    waits = {"wait_for_switch": int(seconds)} if seconds else {}
    return {"required_switches": {"set": True, "number": int(count)}, **waits}


def hint(value: Any) -> dict[str, Any]:
    """What a hint means for the allocation; srun reads SLURM_HINT besides."""
    return {} if value == "multithread" else {"threads_per_core": 1}


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of all options: texts of the same field are joined with commas, lists are joined."""
    fields: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            before = fields.get(name)
            if isinstance(before, str) and isinstance(value, str):
                fields[name] = f"{before},{value}"
            elif isinstance(before, list) and isinstance(value, list):
                fields[name] = [*before, *value]
            else:
                fields[name] = value
    return fields
