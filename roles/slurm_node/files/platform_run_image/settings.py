"""What the site says; the role slurm_node writes it beside this module."""

import json
from pathlib import Path

_SITE = json.loads(Path(__file__).with_name("settings.json").read_text())
# A module of this package.
RUNTIME: str = _SITE["runtime"]
# Words for the runtime's command line, for instance to let devices in.
OPTIONS: list[str] = _SITE["options"]
REGISTRY: str = _SITE["registry"]
# Folders that containers see at the same place.
BINDS: list[str] = _SITE["binds"]
