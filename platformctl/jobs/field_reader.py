"""Reads the fields of a pod template by the table of fields: refused, unsupported by a back end, or dropped.

The readers of containers, volumes and pods share one FieldReader, so that all findings come together.
"""

from typing import Any

from platformctl.jobs.fields import BY_PATH, Field, Handling
from platformctl.jobs.model import BACKENDS, Identity, Refusal, Target
from platformctl.jobs.pod_shapes import SHAPES
from platformctl.jobs.reader import Reader

_IDS = ("runAsUser", "runAsGroup", "fsGroup")


class FieldReader:
    """The findings about one template.

    Mistakes go to `reader`. unsupported: by back end, what it does not have. dropped: by back end, wishes
    without effect. identities: the numbers of users and groups that the template names.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.unsupported: dict[Target, list[Refusal]] = {target: [] for target in BACKENDS}
        self.dropped: dict[Target, list[Refusal]] = {target: [] for target in BACKENDS}
        self.identities: list[Identity] = []

    def known(self, value: Any, path: str, prefix: str) -> dict[str, Any]:
        """An object's fields that at least one back end has; the table refuses the others.

        path: in the Job. prefix: of the rows of the table.
        """
        kept = {}
        for key, item in self.reader.mapping(value, path).items():
            if not prefix and key in ("metadata", "spec"):
                kept[key] = item
                continue
            here, row = f"{path}.{str(key)[:253]}", BY_PATH.get(f"{prefix}{key}")
            if row is None:
                self.reader.refuse(here, "is not a field of a pod template that jobs can use; leave it out")
            elif item is None:
                continue
            elif asks_for_nothing(row, item):
                if Handling.MAPPED in row.handlings.values():
                    kept[key] = item
            elif set(row.handlings.values()) == {Handling.REFUSED}:
                self.reader.refuse(here, f"is not supported: {row.note}")
            else:
                self._note(here, row)
                if row.path in SHAPES:
                    SHAPES[row.path](self.reader, item, here)
                kept[key] = item
        return kept

    def security(self, value: Any, path: str, prefix: str) -> dict[str, Any]:
        """A securityContext; the numbers in it are kept as identities, which the site compares later."""
        fields = self.known(value, path, prefix)
        for kind in _IDS:
            self._identity(f"{path}.{kind}", kind, fields.get(kind))
        groups = fields.get("supplementalGroups")
        for number, gid in enumerate(groups if isinstance(groups, list) else ()):
            self._identity(f"{path}.supplementalGroups[{number}]", "supplementalGroups", gid)
        return fields

    def _identity(self, path: str, kind: str, number: Any) -> None:
        if not isinstance(number, int) or isinstance(number, bool):
            return  # Its shape is refused.
        self.identities.append(Identity(path, kind, number))

    def lacks(self, target: Target, path: str, why: str) -> None:
        """Note something that one back end does not have."""
        self.unsupported[target].append(Refusal(path, f"is not supported on {target}: {why}"))

    def drops(self, target: Target, path: str, why: str) -> None:
        """Note a wish that has no effect on one back end."""
        self.dropped[target].append(Refusal(path, f"has no effect on {target}: {why}"))

    def _note(self, path: str, row: Field) -> None:
        for target, handling in row.handlings.items():
            if handling is Handling.REFUSED:
                self.lacks(target, path, row.note)
            elif handling is Handling.DROPPED:
                self.drops(target, path, row.note)


def asks_for_nothing(row: Field, value: Any) -> bool:
    """Whether a value is one that tools write into manifests; true is not 1 here."""
    return value in row.harmless and type(value) in {type(harmless) for harmless in row.harmless}
