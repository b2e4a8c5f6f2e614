"""Makes the batch script of a job on Slurm. Making it executes nothing of the user's.

A plain script is used unchanged. In all other cases the batch script is a short script of ours that contains
the user's text as quoted words. For a container that is a command line. For a script that needs work before
or after it (the index of an array, files to stage) it is the whole program text.

RUNNER, which the Slurm roles install on the nodes, runs containers: `RUNNER IMAGE -- COMMAND...`. It passes
on the job's environment.
"""

from collections.abc import Mapping

from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.quoting import bash_word, expand_references
from platformctl.jobs.staging import CANNOT_COPY, copies

RUNNER = "/usr/local/bin/platform-run-image"
# The exit code of RUNNER if the image cannot be fetched or unpacked.
NO_IMAGE = 125
INDEX = "KFOUNDRY_INDEX"

# Privileged mode: bash ignores BASH_ENV, SHELLOPTS and the like from a container's environment.
_BASH = "#!/bin/bash -p\n"
# Placeholder for a reference to the index while words are quoted: no text of a user contains NUL.
_INDEX_HERE = "\0"
_SET_INDEX = f'export {INDEX}="$SLURM_ARRAY_TASK_ID"\n'
# Slurm sends signals to this process only. It passes them on, and lives longer than its child to copy the
# results. With job control (-m), background processes do not ignore SIGINT.
_RUN = """\
set -m
platform_child= platform_told=
platform_tell() {
  platform_told=$1
  [ -z "$platform_child" ] || kill -s "$1" "$platform_child" 2>/dev/null
}
trap 'platform_tell TERM' TERM
trap 'platform_tell INT' INT
trap 'platform_tell HUP' HUP
run() {
  "$@" <&0 &
  platform_child=$!
  [ -z "$platform_told" ] || platform_tell "$platform_told"
  # A signal ends the wait, not what is waited for.
  while wait "$platform_child"; code=$?; kill -0 "$platform_child" 2>/dev/null; do :; done
  platform_child=
  return "$code"
}
"""
_STAGE = f"""\
stage() {{
  command -p mkdir -p -- "$3" && command -p cp -RpT -- "$1" "$2" && return
  printf 'cannot copy %s to %s\\n' "$1" "$2" >&2
  return {CANNOT_COPY}
}}
"""


def batch_script(job: JobSpec, user: User, variables: Mapping[str, str]) -> str:
    """The text that Slurm runs on the job's first node. variables: the container's, expanded."""
    staged = bool(job.stage_in or job.stage_out)
    if job.script is not None and not job.array and not staged:
        return job.script
    lines = _BASH + (_SET_INDEX if job.array else "")
    if job.script is None:
        command = container_command(job, variables) + "\n"
        return f"{lines}exec {command}" if not staged else lines + _staged(job, user, command)
    command = f'{_interpreter(job.script)} "$folder/script"\n'
    return lines + _kept(job.script) + _staged(job, user, command)


def container_command(job: JobSpec, variables: Mapping[str, str]) -> str:
    """The bash command that runs the container once for each task."""
    if job.container is None:
        raise ValueError("the job has no container")
    values = dict(variables) | ({INDEX: _INDEX_HERE} if job.array else {})
    words = [expand_references(word, values) for word in (*job.container.command, *job.container.args)]
    start = ["srun"] if job.tasks > 1 else []
    line = [*start, RUNNER, full_image_name(job.container.image), "--", *words]
    return " ".join(_word(word) for word in line)


def full_image_name(image: str) -> str:
    """The name with its registry, completed as containerd does: perl:5 is docker.io/library/perl:5."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    if "." in first or ":" in first or first == "localhost":
        return image
    return f"docker.io/{image}"


def _word(text: str) -> str:
    return f'"${INDEX}"'.join(bash_word(part) if part else "" for part in text.split(_INDEX_HERE)) or "''"


def _kept(script: str) -> str:
    """Shell text that writes the user's program to a temporary file, which is deleted when the job ends."""
    return (
        f"folder=$(command -p mktemp -d) || exit {CANNOT_COPY}\n"
        "trap 'command -p rm -rf -- \"$folder\"' EXIT\n"
        f'printf %s {bash_word(script)} >"$folder/script" || exit {CANNOT_COPY}\n'
    )


def _interpreter(script: str) -> str:
    """The words of a script's first line as the kernel reads them: a program and at most one argument."""
    words = script.split("\n", 1)[0][2:].strip().split(None, 1)
    return " ".join(bash_word(word) for word in words)


def _staged(job: JobSpec, user: User, command: str) -> str:
    """Shell text that copies, runs the command, and always copies again; its exit code is the command's, or
    CANNOT_COPY."""
    before = "".join(
        f"stage {_words(copy)} || exit {CANNOT_COPY}\n" for copy in copies(job.stage_in, user.home)
    )
    after = "".join(f"stage {_words(copy)} || lost=$?\n" for copy in copies(job.stage_out, user.home))
    prelude = _STAGE if before or after else ""
    ending = '[ "$code" -ne 0 ] || code=$lost\nexit "$code"\n'
    return f"{_RUN}{prelude}{before}run {command}code=$?\nlost=0\n{after}{ending}"


def _words(words: tuple[str, ...]) -> str:
    return " ".join(bash_word(word) for word in words)
