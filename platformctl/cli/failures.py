"""How errors end the command: in words, with an exit code, and never with a traceback.

Expected failures are PlatformErrors. An error of the operating system, such as a folder that cannot be
written, names its file and the variable that moves it. Anything else is a defect: its traceback is kept in a
private file.
"""

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError

_SHOWN = 300
_FOLDERS = {
    "XDG_CACHE_HOME": paths.cache_dir,
    "XDG_STATE_HOME": paths.state_dir,
    "XDG_CONFIG_HOME": paths.config_dir,
}
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST)


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Print an error of the command inside, and end with its code."""
    try:
        yield
    except PlatformError as error:
        _end(error)
    except BrokenPipeError:
        _end_quietly()
    except OSError as error:
        _end(of_system(error) or unexpected(error), error)
    except Exception as error:
        _end(unexpected(error), error)


def of_system(error: OSError) -> PlatformError | None:
    """The words for a file that cannot be used or a full disk; None for any other error."""
    name = error.filename2 or error.filename
    if not isinstance(name, str | bytes | os.PathLike):
        return None
    path = Path(os.fsdecode(name))
    reason = error.strerror or str(error)
    what = f"{path} cannot be used: {reason}"
    if error.errno == errno.ENOSPC:
        return PlatformError(what, next=f"make room there, or {_other_folder(path)}")
    if error.errno not in _NOT_WRITABLE:
        return None
    if error.errno == errno.ENOENT and not _missing_folder(path):
        return None
    return PlatformError(what, next=_other_folder(path), code=ExitCode.INVALID)


def unexpected(error: Exception) -> PlatformError:
    """The words for a defect; the traceback goes to a file that only this user can read."""
    first = (str(error).splitlines() or [""])[0][:_SHOWN]
    what = f"unexpected error: {type(error).__name__}: {first}".rstrip(": ")
    try:
        where = f"all of it is in {_keep(error)}"
    except OSError:
        where = "it could not be kept in a file"
    return PlatformError(what, where, "the same command again; with -vv it prints where this came from")


def _keep(error: Exception) -> Path:
    try:
        folder = paths.state_dir() / "errors"
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, suffix=".txt")
    except (OSError, PlatformError):
        descriptor, name = tempfile.mkstemp(prefix="platformctl-", suffix=".txt")
    with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
        file.write(f"{' '.join(sys.argv)}\n")
        traceback.print_exception(error, file=file)
    return Path(name)


def _missing_folder(path: Path) -> bool:
    """Whether the path is in one of our folders, which platformctl makes itself."""
    return any(_within(path, variable) for variable in _FOLDERS)


def _other_folder(path: Path) -> str:
    names = [name for name in _FOLDERS if _within(path, name)]
    if len(names) == len(_FOLDERS):
        return f"set HOME to a folder that you can write, or {', '.join(names)}"
    if names:
        return f"set {', '.join(names)} to a folder that you can write"
    return "give this user the right to it, or name another place"


def _within(path: Path, variable: str) -> bool:
    """Whether the path is one of ours, or a folder above it that could not be made."""
    try:
        own = _FOLDERS[variable]()
    except PlatformError:
        return False
    return path.is_relative_to(own) or own.is_relative_to(path)


def _end(words: PlatformError, cause: Exception | None = None) -> None:
    with contextlib.suppress(OSError, ValueError):
        if cause is not None and any(word.startswith("-vv") for word in sys.argv):
            traceback.print_exception(cause)
        print(f"error: {words}", file=sys.stderr, flush=True)
    sys.exit(words.code)


def _end_quietly() -> None:
    """Whoever read the output is gone: nothing is left to say, not even at the interpreter's end."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            os.dup2(null, stream)
    sys.exit(ExitCode.FAILED)
