"""Folders of platformctl on the operator's machine, and the folder of its own data files.

They follow the XDG base directories, which are read at each call so that tests and users can change them.
"""

import os
from pathlib import Path


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable)
    return (Path(value) if value else Path.home() / fallback) / "platformctl"


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
