"""Raises a limit of the machine that many hosts with systemd exceed, while there is a lab.

Root's inotify instances are counted over all hosts. Each host uses about eight, and more with a kubelet. A
dozen hosts use up the usual 128; then units and pods fail with "too many open files".
"""

from pathlib import Path

from platformctl.lab import state

WANTED = 8192
_SETTING = Path("/proc/sys/fs/inotify/max_user_instances")


def ensure() -> None:
    """Raise the limit if it is lower, and record the old value."""
    before = int(_SETTING.read_text())
    if before < WANTED:
        _note().write_text(f"{before}\n")
        _SETTING.write_text(str(WANTED))


def restore() -> bool:
    """Restore the old limit; False if it was never raised."""
    if not _note().exists():
        return False
    # If somebody else has set another value since, that value stays.
    if int(_SETTING.read_text()) == WANTED:
        _SETTING.write_text(_note().read_text())
    _note().unlink()
    return True


def _note() -> Path:
    return state.labs_folder() / ".inotify-instances-before"
