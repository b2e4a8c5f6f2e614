"""Makes the batch script of a template for Slurm: its containers, one after the other, with their volumes.

A container runs by RUNNER, which the Slurm roles install on the nodes. The script contains the user's text
only as quoted words. What is known only when the job runs, such as the index, is a variable of the shell; a
placeholder stands for it while words are quoted. A Secret is only in the job's environment, which nobody else
can read, never in the script.

A task that needs more than one command, such as volumes or init containers, is a program of its own: with
several tasks, srun starts this program once for each.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from platformctl.jobs import contents as objects
from platformctl.jobs import pod_fields
from platformctl.jobs.batch_script import (
    BASH,
    INDEX,
    KUBERNETES_INDEX,
    RUN,
    RUNNER,
    SET_INDEX,
    full_image_name,
    staged,
)
from platformctl.jobs.contents import Contents, UnusableError
from platformctl.jobs.model import Container, JobSpec, Mount, Source, User, Volume
from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.jobs.quoting import MAX_EXPANDED, bash_word, expand_references

# Variables of the script that placeholders stand for.
_NODE, _POD = "SLURMD_NODENAME", "platform_pod"
_SECRET = "KFOUNDRY_VALUE_"  # noqa: S105
_SET_POD = (
    f'{_POD}="$SLURM_JOB_NAME-${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}'
    '${SLURM_ARRAY_TASK_ID:+-$SLURM_ARRAY_TASK_ID}"\n'
)
_SET_TASK_INDEX = f'export {KUBERNETES_INDEX}="$SLURM_PROCID"\n'
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MODE = 0o644
# Runs its argument as a script, because bash -c reports the end of each background process.
_TASK = "/bin/bash -p -c 'exec /bin/bash -p <(printf %s \"$0\")' "
# Folders of the task; the second is in memory, which counts for the job.
_FOLDERS = """\
platform_folder=$(command -p mktemp -d) || exit 74
platform_memory=
trap 'command -p rm -rf -- "$platform_folder" ${platform_memory:+"$platform_memory"}' EXIT
"""
_MEMORY = "platform_memory=$(command -p mktemp -d -p /dev/shm) || exit 74\n"


@dataclass(frozen=True)
class Program:
    """The batch script, and the variables of the job that it needs."""

    script: str
    environment: dict[str, str]


def program(
    job: JobSpec, user: User, contents: Contents | None = None, namespace: str = "default"
) -> Program:
    """The program of a Job with a template. Raises UnusableError for a content that a job cannot have.

    contents: of the objects that `contents.named` lists. namespace: the Job's.
    """
    if job.container is None:
        raise ValueError("the job has no container")
    return _Maker(job, user, contents or {}, namespace).program(job.container)


@dataclass
class _Maker:
    """One program in the making. secrets: variables of the environment with values of Secrets."""

    job: JobSpec
    user: User
    contents: Contents
    namespace: str
    secrets: dict[str, str] = field(default_factory=dict)

    def program(self, main: Container) -> Program:
        job = self.job
        variables = self._variables(main)
        init = [self._init(number, one, variables) for number, one in enumerate(job.pod.init)]
        volumes = self._volumes()
        command = self._command(main, variables)
        late = {name: text for name, text in variables.items() if "\0" in text}
        inside = "".join(_export(name, text) for name, text in late.items())
        inside += "".join(f"export -n {name}\n" for name in self.secrets)
        inside += (_FOLDERS + volumes if volumes else "") + "".join(init)
        inside = (_SET_POD if any(_POD in text for text in (inside, command)) else "") + inside
        if job.tasks > 1 and not job.array:
            inside = _SET_TASK_INDEX + inside
        first = "".join(f"run platform_init_{number} && " for number in range(len(init)))
        start = BASH + (SET_INDEX if job.array and job.batch.indexed else "")
        text = start + self._started(inside, first, command, alone=not (volumes or init))
        plain = {name: text for name, text in variables.items() if name not in late}
        return Program(text, {**plain, **self.secrets})

    def _started(self, inside: str, first: str, command: str, alone: bool) -> str:
        """The rest of the script. first: runs the init containers. alone: only the command has to run."""
        task = f"{inside}exec {command}\n" if alone else f"{RUN}{inside}{first}run {command}\n"
        several, copies = self.job.tasks > 1, bool(self.job.stage_in or self.job.stage_out)
        if several:
            inside, first = "", ""
            command = f"srun {_TASK}{bash_word(task)}"
        if copies:
            return inside + staged(self.job, self.user, f"{command}\n", first)
        return f"exec {command}\n" if several else task

    def _variables(self, container: Container) -> dict[str, str]:
        """The container's variables in order, with placeholders for what the running job knows."""
        given: dict[str, str] = {"HOME": self.user.home}
        known = self._indices() | given
        for prefix, source in container.env_from:
            for key, content in sorted(self._entries(source).items()):
                given[prefix + key] = known[prefix + key] = self._text(source, key, content)
        size = 0
        for name, value in container.env:
            text = (
                expand_references(value, known)
                if isinstance(value, str)
                else self._of_source(container, value)
            )
            if text is not None:
                given[name] = known[name] = text
                size += len(text)
            if size > MAX_EXPANDED:
                raise UnusableError(f"the variables are longer than {MAX_EXPANDED} characters together")
        return given

    def _indices(self) -> dict[str, str]:
        """The variables that say which one of several a container is."""
        names: tuple[str, ...] = (KUBERNETES_INDEX,) if self.job.tasks > 1 else ()
        if self.job.array:
            names = (INDEX, KUBERNETES_INDEX) if self.job.batch.indexed else ()
        return {name: _here(name) for name in names}

    def _of_source(self, container: Container, source: Source) -> str | None:
        """The value of a variable; None if it is optional and not there."""
        if source.kind == "fieldRef":
            return self._field(source.key)
        if source.kind == "resourceFieldRef":
            return _resource(container, source.key, source.divisor)
        entries = self._entries(source)
        if source.key not in entries:
            if source.optional:
                return None
            raise UnusableError(f"{objects.kind_of(source.kind)} {source.name} has no entry {source.key}")
        return self._text(source, source.key, entries[source.key])

    def _entries(self, source: Source) -> Mapping[str, bytes]:
        """The entries of an object; none if it is optional and not there."""
        return self.contents.get((objects.kind_of(source.kind) or "", source.name), {})

    def _text(self, source: Source, key: str, content: bytes) -> str:
        what = f"the entry {key} of the {objects.kind_of(source.kind)} {source.name}"
        text = _decoded(content, what)
        return self._hidden(text) if objects.kind_of(source.kind) == objects.SECRET else text

    def _hidden(self, text: str) -> str:
        """A placeholder for a text that is only in the environment."""
        name = f"{_SECRET}{len(self.secrets)}"
        self.secrets[name] = text
        return _here(name)

    def _field(self, path: str) -> str:
        """A field of the pod that a job on Slurm has too."""
        known = pod_fields.known_value(self.job, path)
        if known is not None:
            return known
        return {
            "metadata.name": _here(_POD),
            "metadata.namespace": self.namespace,
            "spec.nodeName": _here(_NODE),
            "spec.serviceAccountName": "default",
            pod_fields.INDEX_FIELD: _here(INDEX if self.job.array else KUBERNETES_INDEX),
        }[path]

    def _command(self, container: Container, variables: Mapping[str, str]) -> str:
        """The command line of RUNNER for a container."""
        values = {**self._indices(), **variables}
        words = [expand_references(word, values) for word in (*container.command, *container.args)]
        options = [f"--cd={bash_word(container.working_dir or 'image')}"]
        if container.args and not container.command:
            options.append("--entrypoint")
        options += [self._mount(mount) for mount in container.mounts]
        line = [RUNNER, *options, bash_word(full_image_name(container.image)), "--", *map(_word, words)]
        return " ".join(line)

    def _mount(self, mount: Mount) -> str:
        number, volume = self._volume(mount.volume)
        ending = f":{mount.path}{':ro' if mount.read_only else ''}"
        folder = self.job.on_slurm.folders.get(volume.name)
        below = f"/{mount.sub_path}" if mount.sub_path else ""
        if folder:
            read_only = ":ro" if volume.source.get("readOnly") and not mount.read_only else ""
            return f"--mount={bash_word(folder + below + ending + read_only)}"
        return f"--mount={_place(volume, number)}{bash_word(below + ending)}"

    def _volume(self, name: str) -> tuple[int, Volume]:
        return next(
            (number, volume) for number, volume in enumerate(self.job.pod.volumes) if volume.name == name
        )

    def _volumes(self) -> str:
        """Shell text that makes the folders of the volumes, and the files in them."""
        text = ""
        for number, volume in enumerate(self.job.pod.volumes):
            if volume.name in self.job.on_slurm.folders:
                continue
            place = _place(volume, number)
            if _in_memory(volume) and _MEMORY not in text:
                text += _MEMORY
            text += f"command -p mkdir -p -- {place}\n"
            for file, content, mode in self._files(volume):
                text += _written(place, file, content, mode)
            for part in self._parts_of(volume.name):
                text += f"command -p mkdir -p -- {place}/{bash_word(part)}\n"
        return text

    def _parts_of(self, name: str) -> list[str]:
        """The parts of an emptyDir that are mounted alone; they exist before."""
        containers = [one for one in (*self.job.pod.init, self.job.container) if one]
        parts = (mount.sub_path for one in containers for mount in one.mounts if mount.volume == name)
        _, volume = self._volume(name)
        return sorted(set(filter(None, parts))) if volume.kind == "emptyDir" else []

    def _files(self, volume: Volume) -> Iterator[tuple[str, str, int]]:
        """The files of a volume: path, content as a word of the shell, mode."""
        mode = int(volume.source.get("defaultMode", _MODE))
        for kind, source in objects.parts(volume.kind, volume.source):
            if kind == "downwardAPI":
                for item in source.get("items") or ():
                    yield str(item["path"]), self._downward(item), int(item.get("mode", mode))
            elif kind in ("configMap", "secret"):
                yield from self._object_files(kind, source, mode)

    def _object_files(
        self, kind: str, source: Mapping[str, Any], mode: int
    ) -> Iterator[tuple[str, str, int]]:
        what = objects.CONFIG_MAP if kind == "configMap" else objects.SECRET
        name = str(source.get("name") if kind == "configMap" else source.get("secretName"))
        entries = self.contents.get((what, name), {})
        items = source.get("items") or [{"key": key, "path": key} for key in sorted(entries)]
        for item in items:
            if item["key"] not in entries:
                if source.get("optional") is True:
                    continue
                raise UnusableError(f"{what} {name} has no entry {item['key']}")
            encoded = base64.b64encode(entries[item["key"]]).decode()
            hidden = self._hidden(encoded) if what == objects.SECRET else encoded
            yield str(item["path"]), f"base64 {_word(hidden)}", int(item.get("mode", mode))

    def _downward(self, item: Mapping[str, Any]) -> str:
        reference = item.get("resourceFieldRef")
        if reference:
            containers = [one for one in (self.job.container, *self.job.pod.init) if one]
            named = reference.get("containerName")
            container = next((one for one in containers if one.name == named), containers[0])
            divisor = str(reference.get("divisor", "1"))
            return f"text {_word(_resource(container, reference['resource'], divisor))}"
        return f"text {_word(self._field((item.get('fieldRef') or {}).get('fieldPath', '')))}"

    def _init(self, number: int, container: Container, main: Mapping[str, str]) -> str:
        """A function of the shell that runs an init container with its own variables."""
        variables = self._variables(container)
        unset = [name for name in main if name not in variables and _IDENTIFIER.fullmatch(name)]
        lines = [f"unset {' '.join(unset)}\n"] if unset else []
        lines += [_export(name, text) for name, text in variables.items()]
        lines.append(f"exec {self._command(container, variables)}\n")
        return f"platform_init_{number}() {{\n{''.join(lines)}}}\n"


def _here(variable: str) -> str:
    """A placeholder for a variable of the shell: no text of a user contains NUL."""
    return f"\0{variable}\0"


def _word(text: str) -> str:
    """A word of the shell; placeholders become variables."""
    pieces = text.split("\0")
    quoted = (
        f'"${piece}"' if number % 2 else piece and bash_word(piece) for number, piece in enumerate(pieces)
    )
    return "".join(quoted) or "''"


def _export(name: str, text: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise UnusableError(f"the variable {name[:60]!r} has a name that a shell cannot set")
    return f"export {name}={_word(text)}\n"


def _written(place: str, file: str, content: str, mode: int) -> str:
    """Shell text that writes one file. content: `text WORD`, or `base64 WORD`."""
    how, _, word = content.partition(" ")
    target = f"{place}/{bash_word(file)}"
    folder = file.rpartition("/")[0]
    text = f"command -p mkdir -p -- {place}/{bash_word(folder)}\n" if folder else ""
    decode = " | command -p base64 -d" if how == "base64" else ""
    return f"{text}printf %s {word}{decode} >{target} && command -p chmod {mode:o} {target} || exit 74\n"


def _place(volume: Volume, number: int) -> str:
    return f'"$platform_{"memory" if _in_memory(volume) else "folder"}"/{number}'


def _in_memory(volume: Volume) -> bool:
    # As on Kubernetes, a Secret never gets to a disk.
    secret = any(kind == "secret" for kind, _ in objects.parts(volume.kind, volume.source))
    return secret or (volume.kind == "emptyDir" and volume.source.get("medium") == "Memory")


def _resource(container: Container, resource: str, divisor: str) -> str:
    """A request or limit of a container as a number, rounded up, as the kubelet does."""
    level, _, name = resource.partition(".")
    amounts = container.resources.limits if level == "limits" else container.resources.requests
    amount = parse_quantity(amounts.get(name) or container.resources.limits.get(name) or "0")
    return str(ceiling(amount / (parse_quantity(divisor) or Fraction(1))))


def _decoded(content: bytes, what: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UnusableError(f"{what} is not text, so it cannot be a variable") from None
    if "\0" in text:
        raise UnusableError(f"{what} contains NUL, so it cannot be a variable")
    return text
