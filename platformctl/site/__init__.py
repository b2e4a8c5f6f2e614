"""The site: an Ansible inventory, read, checked as a whole, and its secrets.

`load` gives a Site or raises all mistakes together; `check` lists them.
"""

from platformctl.site.mistakes import Mistake
from platformctl.site.model import Host, Site, check, load

__all__ = ["Host", "Mistake", "Site", "check", "load"]
