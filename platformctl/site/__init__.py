"""The site: an Ansible inventory, read, checked as a whole, and its secrets.

`load` gives a Site or raises all mistakes together; `check` lists them, `check_secrets` those of its secrets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platformctl.site.mistakes import Mistake
    from platformctl.site.model import Host, Site, check, check_secrets, load

__all__ = ["Host", "Mistake", "Site", "check", "check_secrets", "load"]


def __getattr__(name: str) -> Any:
    # Every ansible-playbook imports this package for the secrets; the model's pydantic would cost it 0.2 s.
    if name in __all__:
        return getattr(import_module("platformctl.site.model"), name)
    raise AttributeError(name)
