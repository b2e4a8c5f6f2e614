"""Converts a script for sbatch, with a command line, to a Job: every option is mapped, emulated, or refused.

The text of the script stays as it is, except that directives before the first command become comments
(`##SBATCH`). `sbatch_options` has the table of all options; an option that has a field of `spec.slurm` and
needs no more than its value is carried out by that table alone. `sbatch_values` reads the values of the
others.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from platformctl.jobs import sbatch_values as values
from platformctl.jobs.fields import Handling
from platformctl.jobs.manifest import from_script, name_stem
from platformctl.jobs.model import Target
from platformctl.jobs.parse import parse
from platformctl.jobs.sbatch_environment import Caller, exported, from_file, of_client
from platformctl.jobs.sbatch_options import (
    BY_NAME,
    OPTION_OF,
    PLUGIN_OPTIONS,
    PLUGINS,
    VARIABLES_READ,
    Takes,
)
from platformctl.jobs.sbatch_script import (
    DIRECTIVE,
    TYPED,
    CommandLine,
    Directive,
    Mistake,
    Script,
    read_script,
)
from platformctl.jobs.sbatch_times import point
from platformctl.jobs.slurm_block import PATH, without_effect
from platformctl.jobs.slurm_kinds import mebibytes, written
from platformctl.vocabulary import GPU

COMMENT = "sbatch/comment"

# Options of which sbatch adds up all that are given.
_ADDED = ("mail-type",)
# Groups of which the last one counts, and of which those typed replace those of the script.
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_EXCLUDING = (("requeue", "no-requeue"), ("exclusive", "oversubscribe"))
_LINES = {
    "spec.target": "",
    "spec.queue": "partition",
    "spec.account": "account",
    "spec.walltime": "time",
    "spec.nodes": "nodes",
    "spec.tasks": "ntasks",
    "spec.tasksPerNode": "ntasks-per-node",
    "spec.array": "array",
    "spec.dependsOn": "dependency",
    "spec.resources": "mem",
    "spec.args": "",
}
# What sbatch means by an option without its value.
_EMPTY = {"exclusive": "node", "nice": "100", "oom-kill-step": "1"}


@dataclass(frozen=True)
class Imported:
    """The Job, ready to submit, and notes about differences from sbatch, for people."""

    job: dict[str, Any]
    notes: tuple[str, ...]


@dataclass
class _Work:
    """One import in progress. given: the last directive of each option, because the last one counts."""

    script: Script
    file_name: str
    job_names: Mapping[str, str]
    caller: Caller | None
    given: dict[str, Directive] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    slurm: dict[str, Any] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read[T](self, name: str, convert: Callable[[str], T]) -> T | None:
        """The value of an option, or None when it is not given or wrong."""
        directive = self.given.get(name)
        if directive is None:
            return None
        try:
            return convert(directive.value)
        except (ValueError, OSError) as error:
            self.wrong(name, str(error))
            return None

    def wrong(self, name: str, message: str) -> None:
        """A mistake in the line of an option."""
        line = self.given[name].line if name in self.given else 1
        self.mistakes.append(Mistake(line, f"--{name}: {message}"))

    @property
    def job_name(self) -> str:
        """The name that sbatch would give the job."""
        return self.given["job-name"].value if "job-name" in self.given else self.file_name

    @property
    def single(self) -> bool:
        """Whether it is one task, so that an amount for a node is one for a task."""
        several = {"nodes", "nodelist", "ntasksPerGpu", "ntasksPerTres"} & self.slurm.keys()
        return self.spec.get("tasks", 1) == 1 and self.spec.get("nodes", 1) == 1 and not several


def convert(
    text: str,
    file_name: str,
    job_names: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    target: Target = Target.SLURM,
    typed: CommandLine | None = None,
    args: Sequence[str] = (),
    caller: Caller | None = None,
) -> Imported | list[Mistake]:
    """A script as a Job, or all mistakes by line.

    file_name: the job's name if the script gives none. job_names: for ids of Slurm jobs that it depends on,
    the names of their Jobs. without: options to leave out, refused or not. target: where it may run. typed:
    options of the command line, which count more than the script's. args: the script's arguments. caller: the
    shell, None if there is none.
    """
    script, typed = read_script(text, without), typed or CommandLine()
    work = _Work(script, file_name, job_names or {}, caller, spec={"target": str(target)})
    work.mistakes += script.mistakes
    _take(work, (*script.directives, *_of_variables(caller), *typed.options), without)
    _size(work)
    _amounts(work)
    _waiting(work)
    _surroundings(work)
    for name in work.given:
        _of_table(work, name)
    _hint(work)
    _components(work, typed, without)
    if args:
        work.spec["args"] = list(args)
    job = from_script(_rewritten(script), name_stem(work.job_name))
    job["spec"] |= work.spec | ({"slurm": dict(sorted(work.slurm.items()))} if work.slurm else {})
    _describe_differences(work)
    if "comment" in work.given:
        job["metadata"]["annotations"] = {COMMENT: work.given["comment"].value}
    mistakes = work.mistakes or _refusals(work, job["spec"])
    if mistakes:
        return sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.message))
    return Imported(job, tuple(dict.fromkeys(work.notes)))


def _components(work: _Work, typed: CommandLine, without: Collection[str]) -> None:
    """The further components of a heterogeneous job, each with its own size and options."""
    found = []
    pairs = zip_longest(work.script.components, typed.components, fillvalue=())
    for in_script, on_line in pairs:
        part = _Work(work.script, work.file_name, {}, work.caller)
        own = [one for one in (*in_script, *on_line) if one.option.name not in _OF_WHOLE_JOB]
        idle = [one for one in (*in_script, *on_line) if one.option.name in _OF_WHOLE_JOB]
        _take(part, own, {*without, "ignore-pbs"} if "ignore-pbs" in work.given else without)
        _size(part)
        _amounts(part)
        for name in part.given:
            _of_table(part, name)
        _hint(part)
        work.mistakes += part.mistakes
        work.notes += part.notes
        work.notes += [f"--{one.option.name} counts in the first component only" for one in idle]
        found.append({**part.spec, **({"slurm": dict(sorted(part.slurm.items()))} if part.slurm else {})})
    if found:
        work.slurm["components"] = found


# What sbatch takes from the first component, whose script runs.
_OF_WHOLE_JOB = frozenset(
    {
        *(
            "array",
            "chdir",
            "comment",
            "dependency",
            "error",
            "export",
            "export-file",
            "get-user-env",
            "hold",
        ),
        *(
            "ignore-pbs",
            "input",
            "job-name",
            "no-requeue",
            "open-mode",
            "output",
            "propagate",
            "requeue",
            "wait",
        ),
        *("begin", "deadline", "parsable", "quiet", "verbose"),
    }
)


def _take(work: _Work, directives: Iterable[Directive], without: Collection[str]) -> None:
    """Sort the options: left out as asked, refused, or given. Later ones count."""
    for directive in directives:
        name = directive.option.name
        where = f"line {directive.line}: " if directive.line else ""
        if name in without:
            work.notes.append(f"{where}--{name} is left out, as asked")
        elif directive.option.handling is Handling.REFUSED:
            work.mistakes.append(Mistake(directive.line, f"--{name}: {directive.option.note}"))
        elif not directive.value.isprintable():
            work.mistakes.append(
                Mistake(directive.line, f"--{name}: holds characters that cannot be printed")
            )
        else:
            _give(work, name, directive)
    if "ignore-pbs" not in work.given and "ignore-pbs" not in without:
        said = "sbatch reads this line of another scheduler too: write it as #SBATCH, or add --ignore-pbs"
        work.mistakes += [Mistake(line, said) for line in work.script.foreign]


def _give(work: _Work, name: str, directive: Directive) -> None:
    if name in _ADDED and name in work.given:
        both = f"{work.given[name].value},{directive.value}"
        directive = Directive(directive.line, directive.option, both)
    others: tuple[str, ...] = next((group for group in _EXCLUDING if name in group), ())
    if name in _MEMORY and directive.line == TYPED:
        others = tuple(other for other in _MEMORY if other in work.given and work.given[other].line != TYPED)
    for other in others:
        if other != name:
            work.given.pop(other, None)
    work.given[name] = directive


def _of_variables(caller: Caller | None) -> list[Directive]:
    """Options from variables such as SBATCH_PARTITION; one that takes no value is on, whatever it holds."""
    found = []
    for variable, name in VARIABLES_READ.items():
        if caller and variable in caller.environment:
            option = BY_NAME[name]
            value = "" if option.takes is Takes.NOTHING else caller.environment[variable]
            found.append(Directive(TYPED, option, value))
    return found


def _size(work: _Work) -> None:
    """nodes, tasks, tasksPerNode, walltime, array, queue, account, and the flags."""
    fields: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("ntasks", "tasks", values.whole),
        ("ntasks-per-node", "tasksPerNode", values.whole),
        ("array", "array", values.array),
        ("account", "account", values.one_name),
    )
    for option, key, read in fields:
        value = work.read(option, read)
        if value is not None:
            work.spec[key] = value
    _nodes(work)
    if "time" in work.given:
        walltime = work.read("time", values.walltime)
        if walltime is not None:
            work.spec["walltime"] = walltime
        else:
            work.slurm["timeUnlimited"] = True
    if "partition" in work.given:
        names = work.given["partition"].value
        if "," in names:
            work.slurm["partitions"] = names.split(",")
        else:
            work.spec["queue"] = work.read("partition", values.one_name)
    if "hold" in work.given:
        work.spec["suspend"] = True
    if "no-requeue" in work.given:
        work.spec["retries"] = 0


def _nodes(work: _Work) -> None:
    """How many nodes, and how many tasks that means where nothing says it."""
    listed = work.read("nodelist", values.hosts) or 0
    if "nodefile" in work.given:
        listed = work.read("nodefile", lambda path: _node_file(work, path)) or 0
    asked = work.read("nodes", values.nodes)
    if isinstance(asked, str):
        work.slurm["nodes"] = asked
    nodes = asked if isinstance(asked, int) else listed if asked is None else None
    tasks = work.spec.get("tasks")
    if nodes and tasks and tasks < nodes:
        work.notes.append(
            f"{tasks} tasks need no more than {tasks} nodes, so it asks for {tasks}, as sbatch does"
        )
        nodes = tasks
    if nodes and (asked is not None or not tasks):
        work.spec["nodes"] = nodes
    if "tasksPerNode" in work.spec and tasks is None:
        work.spec["tasks"] = work.spec["tasksPerNode"] * (nodes or 1)


def _node_file(work: _Work, path: str) -> int:
    """Read a file of node names into the field for them; returns how many they are."""
    if work.caller is None:
        raise ValueError("cannot be read here: name the nodes with --nodelist")
    names = ",".join(work.caller.read(path).split())
    work.slurm["nodelist"] = names
    return values.hosts(names)


def _amounts(work: _Work) -> None:
    """cpu, memory and GPUs: those of a single task as resources of the Job, all others in Slurm's terms."""
    amounts = {}
    cores = work.read("cpus-per-task", values.whole)
    if cores:
        amounts["cpu"] = str(cores)
    given = [option for option in _MEMORY if option in work.given]
    for option in given[1:]:
        work.wrong(option, f"cannot be given with --{given[0]}: keep one of them")
    mebi = work.read("mem", mebibytes)
    if mebi is not None and mebi and work.single:
        amounts["memory"] = f"{mebi}Mi"
    elif mebi is not None:
        work.slurm["mem"] = work.given["mem"].value
    if "gres" in work.given:
        text = work.given["gres"].value
        gpus = values.plain_gpus(text)
        if gpus and work.single and not {"gpus", "gpus-per-node", "gpus-per-task"} & work.given.keys():
            amounts[GPU] = str(gpus)
        elif gpus != 0:
            work.slurm["gres"] = text
    if amounts:
        work.spec["resources"] = amounts


def _waiting(work: _Work) -> None:
    """dependsOn for Jobs, and Slurm's own dependency for ids."""
    found = work.read("dependency", lambda text: values.dependencies(text, work.job_names))
    if found and found.jobs:
        work.spec["dependsOn"] = [{"name": name, "when": when} for name, when in found.jobs]
    if found and found.slurm:
        work.slurm["dependency"] = found.slurm


def _surroundings(work: _Work) -> None:
    """The folder, the variables and the files: what sbatch takes from the shell that it is called in."""
    work.slurm["jobName"] = work.job_name
    caller = work.caller
    here = caller.folder if caller else ""
    folder = work.given["chdir"].value if "chdir" in work.given else here
    if folder:
        work.slurm["chdir"] = folder if folder.startswith("/") or not here else f"{here}/{folder}"
        work.slurm["output"] = "slurm-%A_%a.out" if "array" in work.spec else "slurm-%j.out"
    text = work.given["export"].value if "export" in work.given else "ALL"
    taken = work.read("export", lambda value: exported(value, caller)) if "export" in work.given else None
    taken = taken or exported("ALL", caller)
    variables = dict(taken.variables)
    if "export-file" in work.given:
        read = work.read("export-file", lambda path: _variables_of_file(work, path)) or {}
        variables = {**({} if "export" not in work.given else variables), **read}
    if taken.login or "get-user-env" in work.given:
        work.slurm["loginEnvironment"] = True
    if caller:
        propagate = work.given["propagate"].value or "ALL" if "propagate" in work.given else None
        if "ntasks" in work.given:
            # A Job has a task anyway; sbatch tells scripts only of a number that was typed.
            variables |= dict.fromkeys(("SLURM_NTASKS", "SLURM_NPROCS"), str(work.spec.get("tasks", 1)))
        # As in sbatch, limits then are those of the login.
        limits = {} if "get-user-env" in work.given else caller.limits
        try:
            variables |= of_client(replace(caller, limits=limits), propagate)
        except ValueError as error:
            work.wrong("propagate", str(error))
    if variables:
        work.slurm["environment"] = variables
    if taken.left:
        names = ", ".join(taken.left)
        work.notes.append(
            f"others can read a Job, so these variables of your shell stay behind: {names}; "
            f"to take one along, name it: --export={text},{taken.left[0]}"
        )


def _variables_of_file(work: _Work, path: str) -> dict[str, str]:
    if work.caller is None:
        raise ValueError("cannot be read here: write `export NAME=value` in the script")
    return from_file(work.caller.read(path))


def _of_table(work: _Work, name: str) -> None:
    """An option whose field the table describes, unless it was carried out before."""
    option = PLUGIN_OPTIONS.get(name) or BY_NAME[name]
    value = work.given[name].value
    if option.block is PLUGINS:
        work.slurm.setdefault("plugins", {})[name] = value
        work.notes.append(f"--{name} {option.note}")
        return
    if name == "extra-node-info":
        _node_info(work, value)
    if name == "mail-type":
        _mails(work)
    if option.block is None or name in _DONE:
        return
    text = value or _EMPTY.get(name, value)
    kind = option.block.kind
    read = work.read(name, lambda _: _VALUES.get(name, kind.typed)(_on(work, name, text)))
    if read is None:
        return
    try:
        kind.check(read)
    except ValueError as error:
        work.wrong(name, str(error))
    else:
        work.slurm[option.block.name] = read


# Options with a field of `spec.slurm` that functions here carry out.
_DONE = frozenset(
    {
        *("chdir", "dependency", "export", "get-user-env", "gres", "job-name", "mail-type", "mem", "nodes"),
        *("partition", "time"),
    }
)
# How a value is read, where it is more than the kind of its field says.
_VALUES: Mapping[str, Callable[[str], Any]] = {
    "delay-boot": values.seconds,
    "kill-on-invalid-dep": values.yes_or_no,
    "no-kill": lambda text: text.lower() not in ("off", "no"),
    "switches": values.switches,
    "time-min": values.minutes,
}


def _hint(work: _Work) -> None:
    """A hint does not count beside options that say what it would mean."""
    beside = [name for name in _INSTEAD_OF_HINT if name in work.given]
    if beside and work.slurm.pop("hint", None):
        work.notes.append(f"--hint has no effect beside --{beside[0]}, as in sbatch")


_INSTEAD_OF_HINT = ("ntasks-per-core", "threads-per-core", "extra-node-info")


def _on(work: _Work, name: str, text: str) -> str:
    """The text of a value, with points of time written as the API has them."""
    if name not in ("begin", "deadline"):
        return text
    if work.caller is None:
        return text
    return written(point(text, work.caller.now))


def _node_info(work: _Work, text: str) -> None:
    """`SOCKETS[:CORES[:THREADS]]`, each a number or `*`."""
    names = ("socketsPerNode", "coresPerSocket", "threadsPerCore")
    parts = text.split(":")
    if len(parts) > len(names) or not all(part == "*" or part.isdecimal() for part in parts):
        work.wrong("extra-node-info", f"{text[:40]!r} is not SOCKETS:CORES:THREADS")
        return
    work.slurm |= {name: int(part) for name, part in zip(names, parts, strict=False) if part != "*"}


def _mails(work: _Work) -> None:
    found = work.read("mail-type", values.mails)
    if found and found[0]:
        work.slurm["mailType"] = list(dict.fromkeys(found[0]))
    if found and found[1]:
        work.notes.append(f"--mail-type: {', '.join(found[1])} is no type of mail; sbatch ignores it too")


def _rewritten(script: Script) -> str:
    """The text without anything before the first command that looks like a directive."""
    head = [f"#{line}" if DIRECTIVE.match(line) else line for line in script.lines[: script.header]]
    return "\n".join([*head, *script.lines[script.header :]])


def _describe_differences(work: _Work) -> None:
    """Note what a person who knows sbatch would not expect."""
    if work.caller is None:
        work.notes.append("it starts in your home; sbatch starts a script in the folder it is called from")
        work.notes.append("its output is in ~/NAME-ID.out, and `platformctl job logs` shows it")
    if work.slurm.get("loginEnvironment") and "export" not in work.given:
        work.notes.append("it starts with your login environment; sbatch takes your shell's along")
    if any(wait["when"] in ("failed", "started") for wait in work.spec.get("dependsOn", ())):
        work.notes.append(
            "it is refused if a Job it waits for is cancelled; sbatch's after and afternotok continue then"
        )
    if "requeue" in work.given:
        work.notes.append("Slurm may start it more than once, as --requeue asks")
    if work.spec["target"] != Target.SLURM:
        work.notes.append("on Kubernetes there is no srun, no module command and no SLURM_ variable")
        if lost := without_effect(work.slurm):
            work.notes.append(f"on Kubernetes these have no effect: {', '.join(lost)}")


def _refusals(work: _Work, spec: dict[str, Any]) -> list[Mistake]:
    """Mistakes in the Job itself, with the line of the option that causes them."""
    parsed = parse(spec)
    if not isinstance(parsed, list):
        return []
    mistakes = []
    for refusal in parsed:
        option = _option_of(refusal.path)
        line = work.given[option].line if option in work.given else 1
        mistakes.append(
            Mistake(line, f"{f'--{option}' if option in BY_NAME else refusal.path}: {refusal.message}")
        )
    return mistakes


def _option_of(path: str) -> str:
    """The option that a field comes from; empty if it is none's."""
    if path.startswith(f"{PATH}."):
        return OPTION_OF.get(path.removeprefix(f"{PATH}.").partition(".")[0], "")
    return _LINES[max((known for known in _LINES if path.startswith(known)), key=len, default="spec.args")]
