"""The values of variables that a plan may show, so that it can say `changed from 64 to 128`.

Hosts keep them beside the digests. Only numbers, truth values and short plain texts are shown: lists and
mappings may hold anything, and what could be a secret is never kept. The value of a secret is not one of
these, whatever its variable is called.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# No blanks and no @: an address with a password in it has one.
_PLAIN = re.compile(r"[A-Za-z0-9._/:,-]{1,48}", re.ASCII)
_SECRET_NAME = re.compile(r"secret|password|token|_pass$|_key$|key_name|proxy|credential")


def values(names: Iterable[str], variables: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, str]:
    """The variables of `names` that may be shown, as texts. secrets: texts that must not be in one."""
    hidden = tuple(secrets)
    return {
        name: text
        for name in names
        if name in variables and not _SECRET_NAME.search(name)
        if (text := _text(variables[name])) and not any(secret in text for secret in hidden)
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else ""
