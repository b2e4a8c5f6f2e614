"""Debian packages that the later stages will want on this host, so that one apt transaction serves them all.

A role named like one of the host's groups says what it installs in `<group>_packages`: a plain list in its
defaults/main.yml, which the site's inventory may replace. Groups without such a role or list add nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: group_packages
short_description: Packages of the roles named like the host's groups
description: [Read from each role's defaults, or from the inventory where it sets the same variable.]
author: [platformctl]
options:
  _terms:
    description: The folder that holds the roles.
    required: true
"""
RETURN = r"""
_raw:
  description: Package names, sorted, each once.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    """The lookup `group_packages`."""

    def run(
        self, terms: Sequence[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[str]]:
        """Return the package names for the host whose variables these are."""
        roles = Path(terms[0])
        variables = variables or {}
        packages: set[str] = set()
        for group in variables["group_names"]:
            name = f"{group}_packages"
            wanted = variables.get(name)
            wanted = self._default(roles / group, name) if wanted is None else self._templar.template(wanted)
            if not isinstance(wanted, list):
                raise AnsibleLookupError(f"{name} must be a list of package names, not {wanted!r}")
            packages.update(wanted)
        return [sorted(packages)]

    @staticmethod
    def _default(role: Path, name: str) -> Any:
        defaults = role / "defaults" / "main.yml"
        if not defaults.is_file():
            return []
        return (yaml.safe_load(defaults.read_text()) or {}).get(name, [])
