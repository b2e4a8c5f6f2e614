"""Values that are encrypted by themselves (`!vault`), opened before the engine uses them.

Ansible opens its own; what the engine hands to ssh, sudo and charts itself must be opened here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from platformctl.site.reading import Vaulted
from platformctl.site.schema import OWN_PREFIX


class Opened:
    """Decrypts values.

    texts: every text that was encrypted, so that it can be kept out of logs. closed: why a value could not
    be opened, by the name of its variable; it stays encrypted. Variables that the site invented (x_*) are not
    reported: platformctl does not read them.
    """

    def __init__(self, opener: Callable[[str], str]) -> None:
        self._opener = opener
        self.texts: set[str] = set()
        self.closed: dict[str, str] = {}

    def of(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables with all values decrypted, at any depth."""
        return {name: self._value(name, value) for name, value in variables.items()}

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, Vaulted):
            return self._open(name, value)
        if isinstance(value, Mapping):
            return {key: self._value(name, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(name, inner) for inner in value]
        return value

    def _open(self, name: str, value: Vaulted) -> str:
        try:
            text = self._opener(value)
        except ValueError as error:
            if not name.startswith(OWN_PREFIX):
                self.closed[name] = str(error)
            return str(value)
        self.texts.add(text)
        return text
