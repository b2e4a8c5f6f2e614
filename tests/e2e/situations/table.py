"""All rows: those of every module of this folder that has some."""

import pkgutil
from importlib import import_module
from pathlib import Path

from tests.e2e.situations.situation import Situation

_MODULES = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))

SITUATIONS: tuple[Situation, ...] = tuple(
    row
    for name in _MODULES
    if name != "table"
    for row in getattr(import_module(f"{__package__}.{name}"), "SITUATIONS", ())
)
