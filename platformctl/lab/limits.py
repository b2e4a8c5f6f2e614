"""A limit of the machine that many hosts with systemd exceed, raised as long as a lab is there.

Root's inotify instances are counted over all hosts. Each host takes about eight and a kubelet more, so that
the usual 128 are spent by a dozen hosts; then units and pods fail with "too many open files".
"""

from pathlib import Path

from platformctl.lab import state

WANTED = 8192
_SETTING = Path("/proc/sys/fs/inotify/max_user_instances")


def ensure() -> None:
    """Raise the limit where it is lower, and note what it was."""
    before = int(_SETTING.read_text())
    if before < WANTED:
        _note().write_text(f"{before}\n")
        _SETTING.write_text(str(WANTED))


def restore() -> bool:
    """Put the limit back as it was found; False when it was never raised."""
    if not _note().exists():
        return False
    # Somebody else may have set another value since; that one stays.
    if int(_SETTING.read_text()) == WANTED:
        _SETTING.write_text(_note().read_text())
    _note().unlink()
    return True


def _note() -> Path:
    return state.labs_folder() / ".inotify-instances-before"
