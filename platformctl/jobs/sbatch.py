"""Converts a #SBATCH script to a Job: every directive is mapped, emulated, or refused with its line.

The script keeps its line numbers: directives become comments (`##SBATCH`), and emulated options are shell
text before the comment in the line of the first directive. `sbatch_options` has the table of all options;
`sbatch_values` reads their values.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from platformctl.jobs import sbatch_values as values
from platformctl.jobs.fields import Handling
from platformctl.jobs.manifest import from_script, name_stem
from platformctl.jobs.model import Target
from platformctl.jobs.parse import most_on_a_node, parse
from platformctl.jobs.quoting import bash_word
from platformctl.jobs.sbatch_options import BY_NAME
from platformctl.jobs.sbatch_output import Naming, redirect
from platformctl.jobs.sbatch_script import DIRECTIVE, Directive, Mistake, Script, read_script
from platformctl.vocabulary import GPU

COMMENT = "sbatch/comment"

_MEBI = 2**20
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
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
}


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
    given: dict[str, Directive] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read[T](self, name: str, convert: Callable[[str], T]) -> T | None:
        """The value of an option, or None when it is not given or wrong."""
        directive = self.given.get(name)
        if directive is None:
            return None
        try:
            return convert(directive.value)
        except ValueError as error:
            self.mistakes.append(Mistake(directive.line, f"--{name}: {error}"))
            return None

    def wrong(self, name: str, message: str) -> None:
        """A mistake in the line of an option."""
        line = self.given[name].line if name in self.given else 1
        self.mistakes.append(Mistake(line, f"--{name}: {message}" if name else message))

    @property
    def job_name(self) -> str:
        """The name that sbatch would give the job."""
        return self.given["job-name"].value if "job-name" in self.given else self.file_name


def convert(
    text: str,
    file_name: str,
    job_names: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    target: Target = Target.SLURM,
) -> Imported | list[Mistake]:
    """A script as a Job, or all mistakes by line.

    file_name: the job's name if the script gives none. job_names: for ids of Slurm jobs that it depends on,
    the names of their Jobs. without: options to leave out, refused or not. target: where it may run.
    """
    script = read_script(text)
    work = _Work(script, file_name, job_names or {}, spec={"target": str(target)})
    work.mistakes += script.mistakes
    _take(work, without)
    _size(work)
    _resources(work)
    _waiting(work)
    preamble = _preamble(work)
    _describe_differences(work)
    job = from_script(_rewritten(script, preamble), name_stem(work.job_name))
    job["spec"] |= work.spec
    if "comment" in work.given:
        job["metadata"]["annotations"] = {COMMENT: work.given["comment"].value}
    mistakes = work.mistakes or _refusals(work, job["spec"])
    if mistakes:
        return sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.message))
    return Imported(job, tuple(work.notes))


def _take(work: _Work, without: Collection[str]) -> None:
    """Sort the directives: left out as asked, refused, or given."""
    for directive in work.script.directives:
        name = directive.option.name
        if name in without:
            work.notes.append(f"line {directive.line}: --{name} is left out, as asked")
        elif directive.option.handling is Handling.REFUSED:
            work.mistakes.append(Mistake(directive.line, f"--{name}: {directive.option.note}"))
        elif not directive.value.isprintable():
            work.mistakes.append(
                Mistake(directive.line, f"--{name}: holds characters that cannot be printed")
            )
        else:
            work.given[name] = directive
    if "ignore-pbs" not in work.given:
        said = "sbatch reads this line of another scheduler too: write it as #SBATCH, or add --ignore-pbs"
        work.mistakes += [Mistake(line, said) for line in work.script.foreign]


def _size(work: _Work) -> None:
    """nodes, tasks, tasksPerNode, walltime, array, queue, account, and the flags."""
    fields: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("nodes", "nodes", values.nodes),
        ("ntasks", "tasks", values.whole),
        ("ntasks-per-node", "tasksPerNode", values.whole),
        ("time", "walltime", values.walltime),
        ("array", "array", values.array),
        ("partition", "queue", values.one_name),
        ("account", "account", values.one_name),
    )
    for option, key, read in fields:
        value = work.read(option, read)
        if value is not None:
            work.spec[key] = value
    if "tasksPerNode" in work.spec and "ntasks" not in work.given:
        work.spec["tasks"] = work.spec["tasksPerNode"] * work.spec.get("nodes", 1)
    if "hold" in work.given:
        work.spec["suspend"] = True
    if "no-requeue" in work.given:
        work.spec["retries"] = 0
    work.read("kill-on-invalid-dep", values.only_yes)


def _tasks_per_node(work: _Work, option: str) -> int | None:
    """The divisor for an amount for a node; None, with a mistake, if it is unknown."""
    tasks, nodes = work.spec.get("tasks"), work.spec.get("nodes")
    if "tasksPerNode" in work.spec:
        return most_on_a_node(work.spec["tasksPerNode"], tasks or 1, nodes)
    if nodes:
        return -(-int(tasks or nodes) // int(nodes))
    if not tasks or tasks == 1:
        return 1
    work.wrong(option, "is for each node: say how many tasks a node gets (--ntasks-per-node)")
    return None


def _resources(work: _Work) -> None:
    """resources of one task, from amounts by node, task, CPU, GPU or job."""
    needs: dict[str, Any] = work.read("tres-per-task", values.tres) or {}
    gpus = _gpus(work)
    if gpus:
        needs["gpus"] = gpus
    for option, factor in (("cpus-per-task", 1), ("cpus-per-gpu", needs.get("gpus", 0))):
        count = work.read(option, values.whole)
        if count and not factor:
            work.wrong(option, "needs a number of GPUs")
        elif count:
            needs["cpus"] = count * factor
    memory = _memory(work, needs.get("cpus", 1), needs.get("gpus", 0))
    if memory:
        needs["memory"] = memory
    amounts = {}
    if "cpus" in needs:
        amounts["cpu"] = str(needs["cpus"])
    if "memory" in needs:
        mebibytes, remainder = divmod(needs["memory"], _MEBI)
        amounts["memory"] = str(needs["memory"]) if remainder else f"{mebibytes}Mi"
    if "gpus" in needs:
        amounts[GPU] = str(needs["gpus"])
    if amounts:
        work.spec["resources"] = amounts


def _gpus(work: _Work) -> int | None:
    """GPUs of one task."""
    per_task = work.read("gpus-per-task", values.gpus)
    for option in ("gres", "gpus-per-node"):
        count = work.read(option, values.gres if option == "gres" else values.gpus)
        share = _tasks_per_node(work, option) if count else None
        if count and share and count % share:
            work.wrong(option, f"{count} GPUs of a node cannot be shared out to {share} tasks")
        elif count and share:
            per_task = count // share
    total = work.read("gpus", values.gpus)
    tasks = int(work.spec.get("tasks") or work.spec.get("nodes") or 1)
    if total and per_task and total != per_task * tasks:
        work.wrong("gpus", f"is not what {tasks} tasks have together: give --ntasks")
    elif total and total % tasks:
        work.wrong("gpus", f"{total} GPUs cannot be shared out to {tasks} tasks")
    elif total:
        per_task = total // tasks
    return per_task


def _memory(work: _Work, cpus: int, gpus: int) -> int | None:
    """Bytes of one task. A node's memory is divided and rounded down, so that all tasks fit into it."""
    given = [option for option in ("mem", "mem-per-cpu", "mem-per-gpu") if option in work.given]
    for option in given[1:]:
        work.wrong(option, f"cannot be given with --{given[0]}")
    if len(given) != 1:
        return None
    mebibytes = work.read(given[0], values.mebibytes)
    if mebibytes is None:
        return None
    amount = mebibytes * _MEBI
    if given[0] == "mem":
        share = _tasks_per_node(work, "mem")
        return amount // share if share else None
    if given[0] == "mem-per-gpu" and not gpus:
        work.wrong("mem-per-gpu", "needs a number of GPUs")
    return amount * (cpus if given[0] == "mem-per-cpu" else gpus)


def _waiting(work: _Work) -> None:
    """dependsOn, if the Jobs for the ids are known."""
    dependencies = work.read("dependency", values.dependencies)
    unknown = dict.fromkeys(job_id for job_id, _ in dependencies or () if job_id not in work.job_names)
    for job_id in unknown:
        work.wrong("dependency", f"tell which Job is Slurm's job {job_id}: --job {job_id}=NAME")
    if dependencies and not unknown:
        work.spec["dependsOn"] = [
            {"name": work.job_names[job_id], "when": when} for job_id, when in dependencies
        ]


def _preamble(work: _Work) -> str:
    """Shell text for the emulated options, in the order in which they must happen."""
    parts = []
    if "chdir" in work.given:
        parts.append(f"cd -- {bash_word(work.given['chdir'].value)} || exit 1")
    for name, value in (work.read("export", values.exports) or {}).items():
        parts.append(f"export {name}={bash_word(value)}")
    naming = Naming(work.job_name, "array" in work.spec)
    append = work.read("open-mode", values.appends) or False
    redirects = {
        name: work.read(name, lambda value: redirect(value, naming)) for name in ("input", "output", "error")
    }
    # Slurm truncates a file once and then appends, because stderr or another element may write to it too.
    files = [redirects[name] for name in ("output", "error") if redirects[name] and not append]
    parts += [f": > {file}" for file in dict.fromkeys(files)]
    words = []
    if redirects["input"]:
        words.append(f"< {redirects['input']}")
    if redirects["output"]:
        words.append(f">> {redirects['output']}")
    if redirects["error"]:
        words.append(f"2>> {redirects['error']}")
    elif redirects["output"]:
        words.append("2>&1")
    if words:
        parts.append(f"exec {' '.join(words)}")
    if parts and not _is_shell(work.script.lines[0]):
        emulated = [name for name in ("chdir", "export", "input", "output", "error") if name in work.given]
        for name in emulated:
            work.wrong(name, "can be done for shell scripts only: do it in the program, or leave it out")
    return "; ".join(parts)


def _is_shell(first: str) -> bool:
    words = [word.rsplit("/", 1)[-1] for word in first.removeprefix("#!").split()]
    if words and words[0] == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
    return bool(words) and words[0] in _SHELLS


def _rewritten(script: Script, preamble: str) -> str:
    """The text with the same lines, without anything that looks like a directive."""
    lines = [f"#{line}" if DIRECTIVE.match(line) else line for line in script.lines]
    if preamble:
        first = script.directives[0].line - 1
        lines[first] = f"{preamble} {lines[first]}"
    return "\n".join(lines)


def _describe_differences(work: _Work) -> None:
    """Note what a person who knows sbatch would not expect."""
    if "chdir" not in work.given:
        work.notes.append("it starts in your home; sbatch starts a script in the folder it is called from")
    if "export" not in work.given:
        work.notes.append("it starts with a plain environment; sbatch takes your shell's along")
    if "output" in work.given:
        work.notes.append(
            "its output goes to the file it names, so `platformctl job logs` does not show it; "
            "`--without output` changes that"
        )
    else:
        work.notes.append("its output is in ~/NAME-ID.out, and `platformctl job logs` shows it")
    if "job-name" in work.given and name_stem(work.job_name) != work.job_name:
        work.notes.append(f"SLURM_JOB_NAME is the Job's name, not {work.job_name!r}")
    if any(wait["when"] in ("failed", "started") for wait in work.spec.get("dependsOn", ())):
        work.notes.append(
            "it is refused if a Job it waits for is cancelled; sbatch's after and afternotok continue then"
        )
    if work.spec["target"] != Target.SLURM:
        work.notes.append("on Kubernetes there is no srun, no module command and no SLURM_ variable")


def _refusals(work: _Work, spec: dict[str, Any]) -> list[Mistake]:
    """Mistakes in the Job itself, with the line of the option that causes them."""
    parsed = parse(spec)
    if not isinstance(parsed, list):
        return []
    mistakes = []
    for refusal in parsed:
        path = max((path for path in _LINES if refusal.path.startswith(path)), key=len, default="")
        option = _LINES.get(path, "")
        line = work.given[option].line if option in work.given else 1
        mistakes.append(
            Mistake(line, f"{f'--{option}' if option in BY_NAME else refusal.path}: {refusal.message}")
        )
    return mistakes
