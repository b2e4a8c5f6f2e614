"""The defaults of the roles, for code that needs the value of a variable that the inventory does not set.

Such a value is written only in a role's defaults/main.yml. A default with a Jinja template is not available
here, because its value is known only on a host.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import yaml

from platformctl import paths
from platformctl.site.values import templated


def default[Value](name: str, kind: type[Value]) -> Value:
    """The default of a role's variable, for instance `default("slurm_rest_port", int)`.

    KeyError: no role has such a default, or it is a Jinja template. TypeError: it is of another type.
    """
    value = _all()[name]
    if not isinstance(value, kind):
        raise TypeError(f"the default of {name} is {value!r}, not of type {kind.__name__}")
    # A caller may change what it got.
    return deepcopy(value)


@cache
def _all() -> Mapping[str, Any]:
    files = sorted((paths.data_dir() / "roles").glob("*/defaults/main.yml"))
    declared = {name: value for path in files for name, value in yaml.safe_load(path.read_text()).items()}
    return {name: value for name, value in declared.items() if not templated(value)}
