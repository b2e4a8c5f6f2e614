"""Try new files with the program that will read them, before they are in place.

The program runs in namespaces of its own, in which the new files already lie at their paths. It reads them as
it would later, sees the rest of the host as it is, and reaches no network; all that it starts ends with it.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from ansible.module_utils.host_files.files import RefusedError, Wanted
from ansible.module_utils.host_files.known import Check

_CONFIGURATION = "/etc/"
# A busy host starts large programs slowly; the scripts of roles end by themselves before.
_SECONDS = 180
_LINES = 12
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Binds the pairs of paths before the first --, and runs the command after it. Not as process 1: programs of
# systemd would take themselves for the init process and say nothing.
_INSIDE = """
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done
shift
ip link set lo up 2>/dev/null
"$@"
exit $?
"""
_UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def refuse_mistakes(files: Sequence[Wanted], checks: Sequence[Check]) -> None:
    """Run the checks on the files; the first one that finds a mistake is the reason not to go on."""
    # Programs and scripts of ours are no configuration, and no file of theirs is read by a check.
    tried = [file for file in files if str(file.path).startswith(_CONFIGURATION)]
    if not tried or not checks:
        return
    root = pathlib.Path(tempfile.mkdtemp(dir="/run", prefix="platformctl-trial-"))
    try:
        binds = list(_laid_out(tried, root))
        for check in checks:
            if mistakes := _mistakes(check, binds):
                raise RefusedError(_words(check, tried, mistakes))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _laid_out(files: Sequence[Wanted], root: pathlib.Path) -> Iterator[str]:
    """Copies of the folders that get a new file, with the new files in them: pairs of copy and folder."""
    folders = {file.path.parent for file in files if str(file.path.parent) + "/" != _CONFIGURATION}
    tops = sorted(folder for folder in folders if not folders.intersection(folder.parents))
    for number, folder in enumerate(tops):
        copy = root / str(number)
        subprocess.run(["cp", "--archive", str(folder), str(copy)], check=True, capture_output=True)
        yield from (str(copy), str(folder))
    for number, file in enumerate(files):
        inside = next((top for top in tops if top in file.path.parents), None)
        if inside is None:
            copy = root / f"file{number}"
        else:
            copy = root / str(tops.index(inside)) / file.path.relative_to(inside)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if copy.is_symlink():
                copy.unlink()
        copy.write_bytes(file.content)
        copy.chmod(file.mode)
        os.chown(copy, file.uid, file.gid)
        # A file that is not there yet has no place to bind it to.
        if inside is None and file.path.is_file():
            yield from (str(copy), str(file.path))


def _mistakes(check: Check, binds: Sequence[str]) -> list[str]:
    command = [*_UNSHARE, "sh", "-c", _INSIDE, "sh", *binds, "--", *check.command]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": _PATH},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"{check.program} did not answer within {_SECONDS} s"]
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if lines and lines[0].startswith(("unshare: ", "mount: ")):
        raise RefusedError(f"new files cannot be tried on this host: {lines[0]}")
    if check.mistakes:
        return [line for line in lines if re.search(check.mistakes, line)][:_LINES]
    if done.returncode == 0:
        return []
    return lines[-_LINES:] or [f"{check.program} ended with {done.returncode} and no words"]


def _words(check: Check, files: Sequence[Wanted], mistakes: Sequence[str]) -> str:
    text = "\n".join(mistakes)
    concerned = [file for file in files if check.concerns(file.path)]
    # The file that the program names, where it names one.
    named = [file for file in concerned if str(file.path) in text] or concerned
    paths = ", ".join(str(file.path) for file in named)
    variables = sorted({name for file in named for name in file.variables})
    source = f" (see {', '.join(variables)} in the inventory)" if variables else ""
    return f"{check.program} refuses the new {paths}{source}; nothing was changed:\n{text}"
