"""The table of sbatch's options: how each is typed, its field in a Job, Slurm's field, and Kubernetes.

Names, short forms and whether an option has a value are those of sbatch 24.11. An option that is not in the
table is refused or belongs to a plugin, so nothing that a script asks for is silently ignored. The import,
the check of `spec.slurm`, its definition for the API server, the translation and the documentation read this
table.
"""

import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from platformctl.jobs import slurm_kinds as kinds
from platformctl.jobs import slurm_wire as wires
from platformctl.jobs.fields import Handling
from platformctl.jobs.slurm_kinds import FLAG, MOMENT, SIZE, VARIABLES, Kind
from platformctl.jobs.slurm_wire import Wire, same


class Takes(StrEnum):
    """Whether an option has a value: `--nodes=2`; `--exclusive` or `--exclusive=user`; `--hold`."""

    VALUE = "value"
    OPTIONAL = "optional"
    NOTHING = "nothing"


class Elsewhere(StrEnum):
    """What a field means on Kubernetes: it has a counterpart, it is a wish without effect, or is refused."""

    COUNTERPART = "counterpart"
    WISH = "no effect"
    NEED = "refused"


@dataclass(frozen=True)
class Block:
    """A field of `spec.slurm`.

    name: the field. kind: of its values. wire, plain: its fields of slurmrestd, plain for v0.0.38, None if
    that has none. without: later dialects that have none. elsewhere: its meaning on Kubernetes. about: its
    description.
    """

    name: str
    kind: Kind
    wire: Wire
    plain: Wire | None
    elsewhere: Elsewhere
    about: str
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Option:
    """One row: the long name, its short form, how it is done, and what becomes of it or what to do instead.

    block: its field of `spec.slurm`, if it has one there.
    """

    name: str
    short: str
    takes: Takes
    handling: Handling
    note: str
    block: Block | None = None


V, P, N = Takes.VALUE, Takes.OPTIONAL, Takes.NOTHING
M, E, R = Handling.MAPPED, Handling.EMULATED, Handling.REFUSED
SAME, WISH, NEED = Elsewhere.COUNTERPART, Elsewhere.WISH, Elsewhere.NEED

_COMMAND = "is for the command line of sbatch, not for a script"
_PRINTS = "changes only what the command prints"
_SUBMITTER = "leave it out: a Job runs as its submitter"
_STEP = "leave it out here, and give it to srun inside the script"
_NODES = r"[A-Za-z0-9][A-Za-z0-9_.,\[\]-]*"
_TYPED = r"([A-Za-z][A-Za-z0-9_.-]*[:=])?[0-9]{1,6}(,([A-Za-z][A-Za-z0-9_.-]*[:=])?[0-9]{1,6})*"
# Later dialects without a field: those before it came, and those after it went.
_NODE_COUNT = (
    r"[0-9]{1,6}[kKmM]?(-[0-9]{1,6}[kKmM]?)?|[0-9]{1,6}-[0-9]{1,6}:[0-9]{1,6}"
    r"|[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)+"
)
_BEFORE_41 = frozenset({"v0.0.39", "v0.0.40"})
_BEFORE_42 = _BEFORE_41 | {"v0.0.41"}
_BUT_40 = frozenset({"v0.0.39", "v0.0.41", "v0.0.42", "v0.0.43", "v0.0.44"})

_TEXT = kinds.line("the option of sbatch")
_NAME = kinds.line("a name", r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}", 64)
_COUNT = kinds.number(1, 100_000)
_GPUS = kinds.line("2 or kind1:2", _TYPED, 256)
_FILE = kinds.line("logs/%x-%j.out", longest=4096)


def _slurm(
    name: str,
    short: str,
    takes: Takes,
    kind: Kind,
    wire: Wire | str,
    plain: Wire | str | None,
    elsewhere: Elsewhere,
    about: str,
    without: frozenset[str] = frozenset(),
) -> Option:
    """An option that has a field of the same name in `spec.slurm`."""
    first, *rest = name.split("-")
    field = first + "".join(part.capitalize() for part in rest)
    sent = same(wire) if isinstance(wire, str) else wire
    old = same(plain) if isinstance(plain, str) else plain
    block = Block(field, kind, sent, old, elsewhere, about, without)
    return Option(name, short, takes, M, f"`slurm.{field}`", block)


OPTIONS: tuple[Option, ...] = (
    Option("account", "A", V, M, "`account`"),
    _slurm(
        "acctg-freq", "", V, _TEXT, "account_gather_frequency", "account_gather_frequency", WISH,
        "Seconds between samples of usage.",
    ),
    Option("array", "a", V, M, "`array`"),
    Option("autocomplete", "", V, R, _COMMAND),
    _slurm("batch", "", V, _TEXT, "batch_features", "batch_features", NEED, "Features of the script's node."),
    _slurm("bb", "", V, _TEXT, "burst_buffer", "burst_buffer", NEED, "Burst buffer."),
    Option("bbf", "", V, R, "write the file's text as --bb"),
    _slurm(
        "begin", "b", V, MOMENT, wires.epoch("begin_time"), wires.plain_epoch("begin_time"), NEED,
        "It does not start before this time.",
    ),
    _slurm(
        "chdir", "D", V, kinds.line("/home/alice/run", longest=4096), wires.nothing, wires.nothing, SAME,
        "Folder where it starts: absolute, or below the home; by default the home.",
    ),
    Option("cluster", "", V, M, "as --clusters"),
    Option("cluster-constraint", "", V, R, "leave it out: it is for federated clusters"),
    _slurm(
        "clusters", "M", V, kinds.words(), wires.nothing, wires.nothing, NEED,
        "Names of clusters; Slurm's here must be one of them.",
    ),
    Option("comment", "", V, E, "the annotation `sbatch/comment` of the Job"),
    _slurm("constraint", "C", V, _TEXT, "constraints", "constraints", NEED, "Features that the nodes have."),
    _slurm("container", "", V, _TEXT, "container", "container", NEED, "Folder of an OCI bundle."),
    _slurm("container-id", "", V, _TEXT, "container_id", None, NEED, "Id of the OCI container."),
    _slurm("context", "", V, _TEXT, "selinux_context", None, NEED, "SELinux context."),
    _slurm("contiguous", "", N, FLAG, "contiguous", None, NEED, "Nodes beside each other."),
    _slurm(
        "core-spec", "S", V, kinds.number(1, 1000), "core_specification", "core_specification", WISH,
        "Cores of each node that are left to the system.",
    ),
    _slurm(
        "cores-per-socket", "", V, _COUNT, "cores_per_socket", "cores_per_socket", NEED,
        "Nodes with at least so many cores in a socket.", _BUT_40,
    ),
    _slurm("cpu-freq", "", V, _TEXT, "cpu_frequency", "cpu_frequency", WISH, "Frequency of the cores."),
    _slurm(
        "cpus-per-gpu", "", V, _COUNT, wires.prefixed("cpus_per_tres", "gres/gpu:"), "cpus_per_gpu", SAME,
        "Cores for each GPU.",
    ),
    Option("cpus-per-task", "c", V, M, "`resources.cpu`"),
    _slurm(
        "deadline", "", V, MOMENT, wires.epoch("deadline"), wires.plain_epoch("deadline"), NEED,
        "It is removed if it cannot end before this time.",
    ),
    _slurm(
        "delay-boot", "", V, kinds.number(0), "delay_boot", "delay_boot", WISH,
        "Seconds before nodes are booted.",
    ),
    Option(
        "dependency", "d", V, M,
        "`dependsOn` for names of Jobs, and for ids with `--job ID=NAME`; otherwise `slurm.dependency`",
        Block(
            "dependency",
            kinds.line(
                "afterok:4711", r"(singleton|[a-z]+:[0-9_+:]+)([,?](singleton|[a-z]+:[0-9_+:]+))*", 4096
            ),
            same("dependency"), same("dependency"), NEED, "What it waits for, by ids of Slurm's jobs.",
        ),
    ),
    _slurm("distribution", "m", V, _TEXT, "distribution", "distribution", WISH, "How tasks are laid out."),
    _slurm("error", "e", V, _FILE, "standard_error", "standard_error", WISH, "File of standard error."),
    _slurm(
        "exclude", "x", V, kinds.line("node[3-4]", _NODES), "excluded_nodes", "exclude_nodes", NEED,
        "Nodes to avoid.",
    ),
    _slurm(
        "exclusive", "", P, kinds.choice("node", "user", "mcs", "topo", empty="node"),
        wires.sharing, wires.plain_sharing, NEED,
        "Whole nodes, or nodes shared only by the same user or label.",
    ),
    Option(
        "export", "", V, M, "`slurm.environment` and `slurm.loginEnvironment`; see below",
        Block(
            "environment", VARIABLES, wires.nothing, wires.nothing, SAME,
            "Variables of the script. Everybody who may read Jobs of the namespace can read them.",
        ),
    ),
    Option("export-file", "", V, M, "the file's variables, as with --export"),
    _slurm("extra", "", V, _TEXT, "extra", None, WISH, "Text for the site's filters of nodes."),
    Option(
        "extra-node-info", "B", V, M,
        "`slurm.socketsPerNode`, `slurm.coresPerSocket`, `slurm.threadsPerCore`",
    ),
    Option(
        "get-user-env", "", P, M, "`slurm.loginEnvironment`",
        Block(
            "loginEnvironment", FLAG, wires.nothing, wires.nothing, WISH,
            "Begin with the variables of the user's login on the node, as sbatch --export=NONE does.",
        ),
    ),
    Option("gid", "", V, R, _SUBMITTER),
    _slurm(
        "gpu-bind", "", V, _TEXT, wires.prefixed("tres_bind", "gres/gpu:"), "gpu_binding", WISH,
        "How tasks are bound to GPUs.",
    ),
    _slurm(
        "gpu-freq", "", V, _TEXT, wires.prefixed("tres_freq", "gpu:"), "gpu_frequency", WISH,
        "Frequency of the GPUs.",
    ),
    _slurm(
        "gpus", "G", V, _GPUS, wires.prefixed("tres_per_job", "gres/gpu:"), "gpus", SAME,
        "GPUs of all tasks together.",
    ),
    _slurm(
        "gpus-per-node", "", V, _GPUS, wires.prefixed("tres_per_node", "gres/gpu:"), "gpus_per_node", SAME,
        "GPUs of each node.",
    ),
    _slurm(
        "gpus-per-socket", "", V, _GPUS, wires.prefixed("tres_per_socket", "gres/gpu:"), "gpus_per_socket",
        NEED,
        "GPUs of each socket.",
    ),
    _slurm(
        "gpus-per-task", "", V, _GPUS, wires.prefixed("tres_per_task", "gres/gpu:"), "gpus_per_task", SAME,
        "GPUs of each task.",
    ),
    Option(
        "gres", "", V, M,
        "`resources` nvidia.com/gpu for GPUs without a type of a single task; otherwise `slurm.gres`",
        Block(
            "gres", kinds.line("gpu:kind1:2,scratch:50G", r"[A-Za-z0-9_.:=/,@()+*-]{1,512}", 512),
            wires.gres, wires.plain_gres, SAME, "Devices of each node: gpu:2, gpu:kind1:2, scratch:50G.",
        ),
    ),
    _slurm(
        "gres-flags", "", V, kinds.choice(*wires.GRES_FLAGS), wires.gres_flags, "gres_flags", WISH,
        "How devices are bound.", frozenset({"v0.0.39"}),
    ),
    Option("help", "h", N, R, _COMMAND),
    _slurm(
        "hint", "", V, kinds.choice("compute_bound", "memory_bound", "multithread", "nomultithread"),
        wires.hint, "cpu_binding_hint", WISH, "How the program uses cores.",
    ),
    Option("hold", "H", N, M, "`suspend: true`"),
    Option("ignore-pbs", "", N, M, "#PBS and #BSUB lines are left alone"),
    _slurm("input", "i", V, _FILE, "standard_input", "standard_input", NEED, "File of standard input."),
    Option(
        "job-name", "J", V, M,
        "`slurm.jobName`; and the Job's own name, of lower-case letters, digits and '-'",
        Block(
            "jobName", kinds.line("train", longest=200), wires.nothing, wires.nothing, WISH,
            "The job's name on Slurm; by default the Job's.",
        ),
    ),
    _slurm(
        "kill-on-invalid-dep", "", V, FLAG,
        wires.flagged("KILL_INVALID_DEPENDENCY", "NO_KILL_INVALID_DEPENDENCY"),
        lambda value: {"kill_on_invalid_dependency": "yes" if value else "no"}, WISH,
        "Whether it is removed when its dependency can no longer be met.",
    ),
    _slurm("licenses", "L", V, _TEXT, "licenses", "licenses", NEED, "Licences."),
    _slurm(
        "mail-type", "", V, kinds.words(*wires.MAILS), wires.mails, wires.listed("mail_type"), WISH,
        "What Slurm sends mail for.",
    ),
    _slurm("mail-user", "", V, _TEXT, "mail_user", "mail_user", WISH, "Who gets the mail."),
    _slurm("mcs-label", "", V, _NAME, "mcs_label", "mcs_label", NEED, "Security label."),
    Option(
        "mem", "", V, M, "`resources.memory` for a single task; otherwise `slurm.mem`",
        Block(
            "mem", SIZE, wires.memory("memory_per_node"), lambda value: {"memory_per_node":
            kinds.mebibytes(value)}, SAME, "Memory of each node, in MiB or with a unit; 0 is all of it.",
        ),
    ),
    _slurm("mem-bind", "", V, _TEXT, wires.nothing, wires.nothing, WISH, "How tasks are bound to memory."),
    _slurm(
        "mem-per-cpu", "", V, SIZE, wires.memory("memory_per_cpu"),
        lambda value: {"memory_per_cpu": kinds.mebibytes(value)}, SAME, "Memory for each core.",
    ),
    _slurm(
        "mem-per-gpu", "", V, SIZE, wires.memory_of_gpu,
        lambda value: {"memory_per_gpu": kinds.mebibytes(value)},
        SAME, "Memory for each GPU.",
    ),
    _slurm(
        "mincpus", "", V, _COUNT, "minimum_cpus_per_node", "minimum_cpus_per_node", NEED,
        "Nodes with so many cores.",
    ),
    _slurm("network", "", V, _TEXT, "network", None, WISH, "Network of the steps."),
    _slurm("nice", "", P, kinds.number(-(2**31) + 3), "nice", "nice", WISH, "Lowers the priority."),
    _slurm(
        "no-kill", "k", P, FLAG, wires.fixed("kill_on_node_fail", False), wires.fixed("no_kill", True), WISH,
        "It continues when one of its nodes fails.",
    ),
    Option("no-requeue", "", N, M, "`retries: 0`, as it is without"),
    Option("nodefile", "F", V, M, "`slurm.nodelist`: the nodes that the file names"),
    _slurm(
        "nodelist", "w", V, kinds.line("node[3-4]", _NODES), "required_nodes", "nodelist", NEED,
        "Nodes that it gets, among others.",
    ),
    Option(
        "nodes", "N", V, M, "`nodes` for one number; a range is `slurm.nodes`",
        Block(
            "nodes", kinds.line("2-4", _NODE_COUNT,
            256), same("nodes"), same("nodes"), NEED, "The least and the most nodes.",
        ),
    ),
    Option("ntasks", "n", V, M, "`tasks`"),
    _slurm(
        "ntasks-per-core", "", V, _COUNT, "tasks_per_core", "tasks_per_core", WISH,
        "The most tasks on a core.",
    ),
    _slurm("ntasks-per-gpu", "", V, _COUNT, "ntasks_per_tres", "ntasks_per_gpu", NEED, "Tasks for each GPU."),
    Option("ntasks-per-node", "", V, M, "`tasksPerNode`, and `tasks` where --ntasks is not given"),
    _slurm(
        "ntasks-per-socket", "", V, _COUNT, "tasks_per_socket", "tasks_per_socket", WISH,
        "The most tasks in a socket.",
    ),
    _slurm(
        "ntasks-per-tres", "", V, _COUNT, "ntasks_per_tres", "ntasks_per_tres", NEED, "Tasks for each GPU.",
    ),
    _slurm(
        "oom-kill-step", "", P, kinds.number(0, 1), "oom_kill_step", None, WISH,
        "Whether a whole step ends when a task lacks memory.", _BEFORE_42,
    ),
    _slurm(
        "open-mode", "", V, kinds.choice("append", "truncate"), wires.open_mode, "open_mode", WISH,
        "How output files are opened.",
    ),
    _slurm(
        "output", "o", V, _FILE, "standard_output", "standard_output", WISH,
        "File of the output; `job logs` reads it.",
    ),
    _slurm("overcommit", "O", N, FLAG, "overcommit", None, WISH, "More tasks than cores."),
    _slurm(
        "oversubscribe", "s", N, FLAG, wires.fixed("shared", ["oversubscribe"]),
        wires.fixed("exclusive", "oversubscribe"), WISH, "Share nodes with other jobs.",
    ),
    Option("parsable", "", N, E, f"{_PRINTS}: the name alone"),
    Option(
        "partition", "p", V, M, "`queue` for one name; several are `slurm.partitions`",
        Block(
            "partitions", kinds.words(), wires.listed("partition"), wires.listed("partition"), NEED,
            "Partitions: Slurm takes the one where it starts first. Only where the site has no Queues.",
        ),
    ),
    _slurm("prefer", "", V, _TEXT, "prefer", None, WISH, "Features that nodes should have."),
    Option("priority", "", V, R, "leave it out: operators decide about priority; --nice lowers your own"),
    _slurm(
        "profile", "", V, kinds.words("none", "energy", "lustre", "network", "task"),
        wires.uppercase("profile"), wires.listed("profile"), WISH, "What is sampled.",
    ),
    Option("propagate", "", P, M, "limits of the submitting shell, in `slurm.environment`"),
    _slurm("qos", "q", V, _NAME, "qos", "qos", WISH, "Quality of service, in place of the Queue's."),
    Option("quiet", "Q", N, E, _PRINTS),
    _slurm("reboot", "", N, FLAG, "reboot", None, NEED, "Boot the nodes first."),
    _slurm(
        "requeue", "", N, FLAG, "requeue", "requeue", WISH,
        "Slurm may start it again by itself, for example after a node failed.",
    ),
    _slurm("reservation", "", V, _TEXT, "reservation", "reservation", NEED, "Reservation."),
    Option("resv-ports", "", P, R, _STEP),
    _slurm(
        "segment", "", V, _COUNT, "segment_size", None, WISH, "Nodes of a block of the topology.", _BEFORE_41,
    ),
    _slurm(
        "signal", "", V, kinds.line("B:USR1@120", r"([RBrb]{1,2}:)?[A-Za-z0-9]+(@[0-9]{1,5})?", 64),
        wires.signal, "signal", NEED, "Signal before the end of its time.",
    ),
    _slurm(
        "sockets-per-node", "", V, _COUNT, "sockets_per_node", "sockets_per_node", NEED,
        "Nodes with so many sockets.",
    ),
    _slurm(
        "spread-job", "", N, FLAG, wires.flagged("SPREAD_JOB"), "spread_job", WISH,
        "As many nodes as possible.",
    ),
    _slurm(
        "stepmgr", "", N, FLAG, wires.flagged("STEPMGR_ENABLED"), None, WISH,
        "Steps are managed on the first node.", _BEFORE_41,
    ),
    _slurm(
        "switches", "", V, kinds.line("1@600", r"[0-9]{1,6}(@[0-9]{1,7})?", 32), wires.switches, None, WISH,
        "The most switches, and how many seconds to wait for that.",
    ),
    Option("tasks-per-node", "", V, M, "as --ntasks-per-node"),
    Option("test-only", "", N, R, f"{_COMMAND}; there it checks and submits nothing"),
    _slurm(
        "thread-spec", "", V, kinds.number(1, 1000), "thread_specification", "thread_specification", WISH,
        "Threads that are left to the system.",
    ),
    _slurm(
        "threads-per-core", "", V, _COUNT, "threads_per_core", "threads_per_core", WISH,
        "Threads used of each core.",
    ),
    Option("time", "t", V, M, "`walltime`; without a limit: `slurm.timeUnlimited`", Block(
        "timeUnlimited", FLAG, wires.fixed("time_limit", {"set": True, "infinite": True}),
        wires.fixed("time_limit", "UNLIMITED"),
        NEED, "No wall time of its own: that of the partition.",
    )),
    _slurm(
        "time-min", "", V, kinds.number(1, 527_040), wires.counted("time_minimum"), "time_minimum", WISH,
        "Minutes to which its time may be cut, to start earlier.",
    ),
    _slurm("tmp", "", V, SIZE, wires.disk, wires.disk, NEED, "Temporary disk of each node."),
    _slurm("tres-bind", "", V, _TEXT, "tres_bind", None, WISH, "How tasks are bound to devices."),
    _slurm(
        "tres-per-task", "", V, kinds.line("cpu=4,gres/gpu:1", r"[A-Za-z0-9_.:=/,-]{1,512}", 512),
        "tres_per_task", None, SAME, "Cores, memory and devices of each task.",
    ),
    Option("uid", "", V, R, _SUBMITTER),
    Option("usage", "", N, R, _COMMAND),
    _slurm(
        "use-min-nodes", "", N, FLAG, wires.flagged("PREFER_MINIMUM_NODE_COUNT"), "minimum_nodes", WISH,
        "The smaller number of a range of nodes is preferred.",
    ),
    Option("verbose", "v", N, E, _PRINTS),
    Option("version", "V", N, R, _COMMAND),
    Option("wait", "W", N, E, "of the command line: waits for the end; in a script it changes nothing"),
    _slurm(
        "wait-all-nodes", "", V, kinds.number(0, 1), lambda value: {"wait_all_nodes": bool(value)},
        "wait_all_nodes", WISH, "Whether it begins when all nodes are ready.",
    ),
    _slurm("wckey", "", V, _TEXT, "wckey", "wckey", WISH, "Key for the accounting."),
    Option("wrap", "", V, R, _COMMAND),
)  # fmt: skip

COMPONENTS = Block(
    "components",
    kinds.COMPONENTS,
    wires.nothing,
    None,
    NEED,
    "Further components of a heterogeneous job, each with fields of a Job: nodes, tasks, tasksPerNode, "
    "resources, queue, account, walltime, slurm.",
)
PLUGINS = Block(
    "plugins",
    VARIABLES,
    wires.nothing,
    wires.nothing,
    NEED,
    "Options of Slurm's plugins that the site has, by name; empty for an option without a value.",
)

# Options of plugins that many sites have: the plugin's usual name, and what to do without the plugin.
_IMAGE = "pyxis", "write a Job with `template`, which runs an image"
_MOUNTED = "uenv", "load the software in the script"
_SHIFTER = "shifter", "write a Job with `template`, which runs an image"
_KNOWN: Mapping[str, tuple[Takes, tuple[str, str]]] = {
    "container-image": (V, _IMAGE),
    "container-mounts": (V, _IMAGE),
    "container-name": (V, _IMAGE),
    "container-save": (V, _IMAGE),
    "container-workdir": (V, _IMAGE),
    "container-env": (V, _IMAGE),
    "container-mount-home": (N, _IMAGE),
    "no-container-mount-home": (N, _IMAGE),
    "container-remap-root": (N, _IMAGE),
    "no-container-remap-root": (N, _IMAGE),
    "container-writable": (N, _IMAGE),
    "container-readonly": (N, _IMAGE),
    "container-entrypoint": (N, _IMAGE),
    "no-container-entrypoint": (N, _IMAGE),
    "image": (V, _SHIFTER),
    "module": (V, _SHIFTER),
    "volume": (V, _SHIFTER),
    "uenv": (V, _MOUNTED),
    "view": (V, _MOUNTED),
    "repo": (V, _MOUNTED),
}
PLUGIN_OPTIONS = {
    name: Option(
        name, "", takes, M, f"is an option of a plugin ({usual}): without it at your site, {instead}", PLUGINS
    )
    for name, (takes, (usual, instead)) in _KNOWN.items()
}
# The plugin that each of these options usually belongs to.
USUAL_PLUGIN = {name: usual for name, (_, (usual, _)) in _KNOWN.items()}

BY_NAME = {option.name: option for option in OPTIONS}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
ALIASES = {"tasks-per-node": "ntasks-per-node", "cluster": "clusters"}
BLOCKS: Mapping[str, Block] = {
    block.name: block
    for block in sorted(
        [*(option.block for option in OPTIONS if option.block), COMPONENTS, PLUGINS], key=lambda row: row.name
    )
}
# The option that a field comes from, where their names differ in more than form.
OPTION_OF = {option.block.name: option.name for option in OPTIONS if option.block}

# Variables of the submitting shell that sbatch reads as options.
VARIABLES_READ = {
    **{
        f"SBATCH_{name.upper().replace('-', '_')}": name
        for name in (
            "account", "acctg-freq", "batch", "clusters", "constraint", "container", "container-id",
            "core-spec", "cpus-per-gpu", "delay-boot", "distribution", "error", "exclusive", "export",
            "get-user-env", "gpu-bind", "gpu-freq", "gpus", "gpus-per-node", "gpus-per-socket",
            "gpus-per-task", "gres", "gres-flags", "hint", "ignore-pbs", "input", "job-name", "mem-bind",
            "mem-per-cpu", "mem-per-gpu", "network", "no-kill", "no-requeue", "open-mode", "output",
            "overcommit", "partition", "profile", "qos", "requeue", "reservation", "signal", "spread-job",
            "thread-spec", "threads-per-core", "tres-bind", "tres-per-task", "use-min-nodes",
            "wait-all-nodes", "wckey",
        )
    },
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_BURST_BUFFER": "bb",
    "SBATCH_CPU_FREQ_REQ": "cpu-freq",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_REQ_SWITCH": "switches",
    "SBATCH_TIMELIMIT": "time",
    "SLURM_CLUSTERS": "clusters",
    "SLURM_HINT": "hint",
}  # fmt: skip


def schema() -> dict[str, Any]:
    """The properties of `spec.slurm` in the definition of the Job."""
    return {name: {**block.kind.schema, "description": block.about} for name, block in BLOCKS.items()}


def markdown_table() -> str:
    """The table for the documentation."""
    head = "| option | what becomes of it | Slurm's field | on Kubernetes |\n|---|---|---|---|\n"
    return head + "\n".join(map(_row, OPTIONS)) + "\n"


def _row(option: Option) -> str:
    done = option.note if option.handling is not R else f"refused: {option.note}"
    if option.block is None:
        return f"| {_names(option)} | {done} | | |"
    return f"| {_names(option)} | {done} | {_sent(option.block)} | {option.block.elsewhere} |"


_EXAMPLES: Mapping[str, Any] = {
    "boolean": True, "integer": 1, "array": ["END"], "object": {}, "string": "1"
}  # fmt: skip


def _sent(block: Block) -> str:
    """Names of the fields that slurmrestd gets for an example value."""
    schema = block.kind.schema
    example = _EXAMPLES[schema["type"]]
    if schema["type"] == "array":
        example = schema["items"].get("enum", example)[:1]
    if schema["type"] == "string":
        example = schema.get("enum", ["2027-01-15T08:00:00Z" if "format" in schema else example])[0]
    return ", ".join(f"`{name}`" for name in block.wire(example))


def _names(option: Option) -> str:
    long = f"`--{option.name}`"
    return f"{long}, `-{option.short}`" if option.short else long


def _definition() -> str:
    """The properties as they are in the definition of the Job, indented."""
    shown = yaml.dump({"properties": schema()}, Dumper=_Dumper, sort_keys=False, width=100)
    return textwrap.indent(shown, " " * 18)


class _Dumper(yaml.SafeDumper):
    """Writes short lists on one line, and indents the items of others, as the definition has them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent items below their key."""
        super().increase_indent(flow, False)


def _list(dumper: yaml.SafeDumper, items: list[str]) -> yaml.SequenceNode:
    fits = sum(map(len, items)) < 80
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=fits)


_Dumper.add_representer(list, _list)


PRINTS: Mapping[str, Callable[[], str]] = {"table": markdown_table, "schema": _definition}

if __name__ == "__main__":
    print(PRINTS[sys.argv[1] if sys.argv[1:] else "table"](), end="")  # noqa: T201  (for the documentation)
