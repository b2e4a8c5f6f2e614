"""Makes the batch script of a job on Slurm. Making it executes nothing of the user's.

A plain script is used unchanged. If it needs work before or after it (the index of an array, files to stage),
the batch script is a short script of ours that contains the whole program text as a quoted word. The batch
script of a template is made in `slurm_container`, with RUNNER, which the Slurm roles install on the nodes.
"""

from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.quoting import bash_word
from platformctl.jobs.staging import CANNOT_COPY, copies

RUNNER = "/usr/local/bin/platform-run-image"
# The exit code of RUNNER if the image cannot be fetched or unpacked.
NO_IMAGE = 125
INDEX = "KFOUNDRY_INDEX"
# What the pods of an indexed batch Job have.
KUBERNETES_INDEX = "JOB_COMPLETION_INDEX"

# Privileged mode: bash ignores BASH_ENV, SHELLOPTS and the like from a container's environment.
BASH = "#!/bin/bash -p\n"
# The Job's arguments, which Slurm gives to the batch script.
_ARGUMENTS = ' "$@"'
SET_INDEX = f'export {INDEX}="$SLURM_ARRAY_TASK_ID" {KUBERNETES_INDEX}="$SLURM_ARRAY_TASK_ID"\n'
# Slurm sends signals to this process only. It passes them on, and lives longer than its child to copy the
# results. With job control (-m), background processes do not ignore SIGINT.
RUN = """\
set -m
platform_child= platform_told=
platform_tell() {
  platform_told=$1
  [ -z "$platform_child" ] || kill -s "$1" "$platform_child" 2>/dev/null
}
for platform_signal in TERM INT HUP QUIT USR1 USR2 ALRM; do
  trap "platform_tell $platform_signal" "$platform_signal"
done
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


def batch_script(job: JobSpec, user: User) -> str:
    """The text of a Job with a script that Slurm runs on the job's first node."""
    if job.script is None:
        raise ValueError("the job has no script")
    if not (job.array or job.stage_in or job.stage_out):
        return job.script
    command = f'{_interpreter(job.script)} "$folder/script"{_ARGUMENTS if job.args else ""}\n'
    return BASH + (SET_INDEX if job.array else "") + _kept(job.script) + staged(job, user, command)


def full_image_name(image: str) -> str:
    """The name with its registry, completed as containerd does: perl:5 is docker.io/library/perl:5."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    if "." in first or ":" in first or first == "localhost":
        return image
    return f"docker.io/{image}"


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


def staged(job: JobSpec, user: User, command: str, first: str = "") -> str:
    """Shell text that copies, runs the command, and always copies again; its exit code is the command's, or
    CANNOT_COPY. first: what runs before the command, ending with `&&`."""
    before = "".join(
        f"stage {_words(copy)} || exit {CANNOT_COPY}\n" for copy in copies(job.stage_in, user.home)
    )
    after = "".join(f"stage {_words(copy)} || lost=$?\n" for copy in copies(job.stage_out, user.home))
    prelude = _STAGE if before or after else ""
    ending = '[ "$code" -ne 0 ] || code=$lost\nexit "$code"\n'
    return f"{RUN}{prelude}{before}{first}run {command}code=$?\nlost=0\n{after}{ending}"


def _words(words: tuple[str, ...]) -> str:
    return " ".join(bash_word(word) for word in words)
