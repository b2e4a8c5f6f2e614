"""How every option of sbatch is handled in a Job: the table for the import and its documentation.

Names, short forms and whether an option has a value are those of sbatch 24.11. An option that is not in the
table is refused too, so nothing that a script asks for is silently ignored.
"""

from dataclasses import dataclass
from enum import StrEnum

from platformctl.jobs.fields import Handling


class Takes(StrEnum):
    """Whether an option has a value: `--nodes=2`; `--exclusive` or `--exclusive=user`; `--hold`."""

    VALUE = "value"
    OPTIONAL = "optional"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Option:
    """One row: the long name, its short form, and how it is done or what to do instead."""

    name: str
    short: str
    takes: Takes
    handling: Handling
    note: str


V, P, N = Takes.VALUE, Takes.OPTIONAL, Takes.NOTHING
M, E, R = Handling.MAPPED, Handling.EMULATED, Handling.REFUSED
_SITE = "the site decides"
_QUEUE = "use the queue whose nodes are meant (--partition)"
_PLACE = "a Job does not choose its nodes: " + _QUEUE
_LAYOUT = "not in a Job: give it to srun inside the script"
_CORES = "a Job asks for cores only: use --cpus-per-task"
_MAIL = "no mail is sent: remove the line, and wait with `platformctl job submit --watch`"
_PRINTS = "changes only what sbatch prints; nothing is left to do"
_COMMAND = "is for the command line of sbatch, not for a script"
_LIMITS = "limits come from the node, not from where the Job was submitted"
_STEP = "is an option of steps: give it to srun inside the script"

OPTIONS: tuple[Option, ...] = (
    Option("account", "A", V, M, "`account`"),
    Option("acctg-freq", "", V, R, f"{_SITE} how often usage is sampled"),
    Option("array", "a", V, M, "`array`"),
    Option("autocomplete", "", V, R, _COMMAND),
    Option("batch", "", V, R, _PLACE),
    Option("bb", "", V, R, "burst buffers are not supported: copy with stageIn and stageOut"),
    Option("bbf", "", V, R, "burst buffers are not supported: copy with stageIn and stageOut"),
    Option("begin", "b", V, R, "a Job has no start time: submit it with --hold, and resume it then"),
    Option("chdir", "D", V, E, "`cd` in the script's first directive line; a relative path begins at home"),
    Option("cluster", "", V, R, "a Job runs at this site; choose with --partition"),
    Option("cluster-constraint", "", V, R, "a Job runs at this site; choose with --partition"),
    Option("clusters", "M", V, R, "a Job runs at this site; choose with --partition"),
    Option("comment", "", V, E, "the annotation `sbatch/comment` of the Job"),
    Option("constraint", "C", V, R, _PLACE),
    Option("container", "", V, R, "write a Job with `template`, which runs an image"),
    Option("container-id", "", V, R, "write a Job with `template`, which runs an image"),
    Option("context", "", V, R, f"{_SITE} about SELinux"),
    Option("contiguous", "", N, R, _PLACE),
    Option("core-spec", "S", V, R, f"{_SITE} which cores its own services keep"),
    Option("cores-per-socket", "", V, R, _CORES),
    Option("cpu-freq", "", V, R, _STEP),
    Option("cpus-per-gpu", "", V, M, "`resources.cpu`: that many for each GPU of a task"),
    Option("cpus-per-task", "c", V, M, "`resources.cpu`"),
    Option("deadline", "", V, R, "a Job has no deadline: use --time"),
    Option("delay-boot", "", V, R, f"{_SITE} when nodes boot"),
    Option(
        "dependency",
        "d",
        V,
        M,
        "`dependsOn`, where `--job ID=NAME` tells which Job has the Slurm job's id; "
        "not aftercorr, singleton, afterburstbuffer, `+minutes` and `?`; "
        "a Job that was cancelled has neither failed (afternotok) nor, before it ran, started (after)",
    ),
    Option("distribution", "m", V, R, _LAYOUT),
    Option("error", "e", V, E, "a redirect in the script's first directive line; see below"),
    Option("exclude", "x", V, R, _PLACE),
    Option(
        "exclusive",
        "",
        P,
        R,
        "whole nodes are not reserved: ask for their cores and memory, or use a queue that gives whole nodes",
    ),
    Option(
        "export",
        "",
        V,
        E,
        "NONE is what a Job does anyway; NAME=value becomes `export` in the script; "
        "values of the submitting shell are not taken along",
    ),
    Option("export-file", "", V, R, "write `export NAME=value` in the script"),
    Option("extra", "", V, R, _PLACE),
    Option("extra-node-info", "B", V, R, _CORES),
    Option("get-user-env", "", P, R, "begin the script with #!/bin/bash -l instead"),
    Option("gid", "", V, R, "a Job runs as its submitter"),
    Option("gpu-bind", "", V, R, _STEP),
    Option("gpu-freq", "", V, R, _STEP),
    Option("gpus", "G", V, M, "`resources` nvidia.com/gpu, divided by the tasks; a type is the queue's"),
    Option("gpus-per-node", "", V, M, "`resources` nvidia.com/gpu, divided by the tasks of a node"),
    Option("gpus-per-socket", "", V, R, "a Job does not know sockets: use --gpus-per-node"),
    Option("gpus-per-task", "", V, M, "`resources` nvidia.com/gpu"),
    Option(
        "gres",
        "",
        V,
        M,
        "gpu alone: `resources` nvidia.com/gpu, divided by the tasks of a node; a type is the queue's",
    ),
    Option("gres-flags", "", V, R, f"{_SITE} how devices and cores go together"),
    Option("help", "h", N, R, _COMMAND),
    Option("hint", "", V, R, _CORES),
    Option("hold", "H", N, M, "`suspend: true`"),
    Option("ignore-pbs", "", N, M, "#PBS and #BSUB lines are left alone"),
    Option("input", "i", V, E, "a redirect in the script's first directive line"),
    Option("job-name", "J", V, M, "the Job's name, made of lower-case letters, digits and '-'"),
    Option("kill-on-invalid-dep", "", V, M, "yes: so it always is; no is refused"),
    Option("licenses", "L", V, R, f"{_SITE} about licences, by queue"),
    Option("mail-type", "", V, R, _MAIL),
    Option("mail-user", "", V, R, _MAIL),
    Option("mcs-label", "", V, R, f"{_SITE} who sees what"),
    Option("mem", "", V, M, "`resources.memory`, divided by the tasks of a node; not 0"),
    Option("mem-bind", "", V, R, _STEP),
    Option("mem-per-cpu", "", V, M, "`resources.memory`: that much for each CPU of a task"),
    Option("mem-per-gpu", "", V, M, "`resources.memory`: that much for each GPU of a task"),
    Option("mincpus", "", V, R, _CORES),
    Option("network", "", V, R, _STEP),
    Option("nice", "", P, R, "priority is the queue's, or priorityClassName's"),
    Option("no-kill", "k", P, R, "a Job ends with its node"),
    Option("no-requeue", "", N, M, "`retries: 0`"),
    Option("nodefile", "F", V, R, _PLACE),
    Option("nodelist", "w", V, R, _PLACE),
    Option("nodes", "N", V, M, "`nodes`; one number, no range"),
    Option("ntasks", "n", V, M, "`tasks`"),
    Option("ntasks-per-core", "", V, R, _LAYOUT),
    Option("ntasks-per-gpu", "", V, R, "use --ntasks with --gpus-per-task"),
    Option("ntasks-per-node", "", V, M, "`tasksPerNode`, and `tasks` where --ntasks is not given"),
    Option("ntasks-per-socket", "", V, R, _LAYOUT),
    Option("ntasks-per-tres", "", V, R, "use --ntasks with --gpus-per-task"),
    Option("oom-kill-step", "", P, R, f"{_SITE} what happens when memory runs out"),
    Option("open-mode", "", V, E, "`>` or `>>` in the redirects of --output and --error"),
    Option("output", "o", V, E, "a redirect in the script's first directive line; see below"),
    Option("overcommit", "O", N, R, _LAYOUT),
    Option("oversubscribe", "s", N, R, f"{_SITE} whether cores are shared, by queue"),
    Option("parsable", "", N, E, _PRINTS),
    Option("partition", "p", V, M, "`queue`; one name"),
    Option("prefer", "", V, R, _PLACE),
    Option("priority", "", V, R, "priority is the queue's, or priorityClassName's"),
    Option("profile", "", V, R, f"{_SITE} what is sampled"),
    Option("propagate", "", P, R, _LIMITS),
    Option("qos", "q", V, R, "a queue brings its QOS: choose the queue (--partition)"),
    Option("quiet", "Q", N, E, _PRINTS),
    Option("reboot", "", N, R, f"{_SITE} when nodes boot"),
    Option(
        "requeue", "", N, R, "use `retries`, which also starts a script again that failed: add it to the Job"
    ),
    Option("reservation", "", V, R, "reservations are not supported: use a queue"),
    Option("resv-ports", "", P, R, _STEP),
    Option("segment", "", V, R, _PLACE),
    Option("signal", "", V, R, "a Job gets SIGTERM at the end of its time; end earlier by --time"),
    Option("sockets-per-node", "", V, R, _CORES),
    Option("spread-job", "", N, R, _PLACE),
    Option("stepmgr", "", N, R, f"{_SITE} who manages steps"),
    Option("switches", "", V, R, _PLACE),
    Option("tasks-per-node", "", V, M, "as --ntasks-per-node"),
    Option("test-only", "", N, R, "the import without --submit shows the Job and submits nothing"),
    Option("thread-spec", "", V, R, f"{_SITE} which cores its own services keep"),
    Option("threads-per-core", "", V, R, _CORES),
    Option("time", "t", V, M, "`walltime`; not UNLIMITED"),
    Option("time-min", "", V, R, "a Job has one walltime: use --time"),
    Option("tmp", "", V, R, _PLACE),
    Option("tres-bind", "", V, R, _STEP),
    Option("tres-per-task", "", V, M, "cpu, mem and gres/gpu: `resources`"),
    Option("uid", "", V, R, "a Job runs as its submitter"),
    Option("usage", "", N, R, _COMMAND),
    Option("use-min-nodes", "", N, R, "give one number of nodes"),
    Option("verbose", "v", N, E, _PRINTS),
    Option("version", "V", N, R, _COMMAND),
    Option("wait", "W", N, R, "wait with `platformctl job submit --watch`"),
    Option("wait-all-nodes", "", V, R, f"{_SITE} when a job begins"),
    Option("wckey", "", V, R, "charge an account instead (--account)"),
    Option("wrap", "", V, R, _COMMAND),
)

BY_NAME = {option.name: option for option in OPTIONS}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
ALIASES = {"tasks-per-node": "ntasks-per-node", "cluster": "clusters"}


def markdown_table() -> str:
    """The table for the documentation."""
    head = "| option | | what becomes of it |\n|---|---|---|\n"
    rows = (f"| {_names(option)} | {option.handling} | {option.note} |" for option in OPTIONS)
    return head + "\n".join(rows) + "\n"


def _names(option: Option) -> str:
    long = f"`--{option.name}`"
    return f"{long}, `-{option.short}`" if option.short else long


if __name__ == "__main__":
    print(markdown_table(), end="")  # noqa: T201  (what the documentation is made with)
