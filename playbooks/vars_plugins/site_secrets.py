"""Give plays the site's secrets as variables of group `all`.

Ansible loads this file by itself because it lies beside the playbooks, so that plain ansible-playbook needs
no option for the vault. The decrypted values stay in this process.
"""

from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.group import Group
from ansible.plugins.vars import BaseVarsPlugin

from platformctl.errors import PlatformError
from platformctl.site import secrets

DOCUMENTATION = """
name: site_secrets
short_description: The site's generated secrets
description: Decrypts group_vars/all/secrets.vault beside the inventory.
"""


class VarsModule(BaseVarsPlugin):
    """The secrets of the inventory whose folder is asked for."""

    is_stateless = True

    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> dict[str, str]:
        """Variables for the entities; only group `all` has any."""
        asked = entities if isinstance(entities, list) else [entities]
        if any(isinstance(entity, Group) and entity.name == "all" for entity in asked):
            return _secrets(path)
        return {}


@cache
def _secrets(path: str) -> dict[str, str]:
    try:
        return secrets.load(Path(path))
    except PlatformError as error:
        raise AnsibleError(str(error)) from error
