"""Folders of platformctl on the operator's machine, and the folder of its own data files.

They follow the XDG base directories, which are read at each call so that tests and users can change them.
"""

import os
from pathlib import Path

from platformctl.errors import ExitCode, PlatformError

VARIABLES = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
"""The variables that move these folders, one for each."""


def home() -> Path:
    """The user's home folder. PlatformError: neither HOME nor the system knows one."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise PlatformError(
            "this user has no home folder",
            next="set HOME to a folder that you can write",
            code=ExitCode.INVALID,
        ) from error


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable)
    # A relative path would be another folder in each working folder; the XDG specification ignores it.
    return (Path(value) if value and Path(value).is_absolute() else home() / fallback) / "platformctl"


def cache_dir() -> Path:
    """Artefacts, lab images, package caches: safe to delete, costly to rebuild."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Labs, run journals and logs."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def config_dir() -> Path:
    """Vault keys of sites (mode 0700)."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data_dir() -> Path:
    """The folder of playbooks/, roles/, charts/, docs/, inventories/: the checkout, or the wheel's copy."""
    package = Path(__file__).parent
    packaged = package / "data"
    return packaged if packaged.is_dir() else package.parent
