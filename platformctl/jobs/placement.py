"""Which nodes of Kubernetes a Job may use, by labels, required node affinity and tolerations of taints.

It says what the scheduler would say of a node, apart from amounts. Preferences do not exclude a node.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.jobs.model import JobSpec, Queue

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
"""The field of an affinity whose rules exclude nodes."""


@dataclass(frozen=True)
class Rule:
    """One expression about labels. field: about the node's name instead."""

    key: str
    operator: str
    values: tuple[str, ...]
    field: bool = False

    def holds(self, labels: Mapping[str, str], name: str = "") -> bool:
        """Whether the labels, or the name of a node, meet it."""
        there = name if self.field else labels.get(self.key)
        match self.operator:
            case "In":
                return there in self.values
            case "NotIn":
                return there not in self.values
            case "Exists":
                return there is not None
            case "DoesNotExist":
                return there is None
            case _:
                return self._compares(there)

    def _compares(self, there: str | None) -> bool:
        """Gt and Lt, for labels that are whole numbers."""
        try:
            left, right = int(there or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return left > right if self.operator == "Gt" else left < right


@dataclass(frozen=True)
class Taint:
    """A taint that keeps pods off a node."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class Toleration:
    """A toleration of taints with one key. value: None for any value; effect: empty for any effect."""

    key: str
    value: str | None
    effect: str

    def covers(self, taint: Taint) -> bool:
        """Whether it tolerates a taint."""
        return (
            self.key == taint.key and self.value in (None, taint.value) and self.effect in ("", taint.effect)
        )


@dataclass(frozen=True)
class Place:
    """What a node must have for a Job. terms: one of them must hold, empty for any node."""

    labels: frozenset[tuple[str, str]] = frozenset()
    terms: tuple[tuple[Rule, ...], ...] = ()
    tolerations: frozenset[Toleration] = frozenset()

    def takes(self, labels: Mapping[str, str], name: str, taints: Iterable[Taint]) -> bool:
        """Whether the scheduler would consider a node."""
        return (
            self.labels <= labels.items()
            and (not self.terms or any(all(rule.holds(labels, name) for rule in term) for term in self.terms))
            and all(any(toleration.covers(taint) for toleration in self.tolerations) for taint in taints)
        )

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in sorted(self.labels)]
        return ", ".join([*words, *(["what its node affinity requires"] if self.terms else [])])


def place_of(job: JobSpec, queue: Queue | None) -> Place:
    """The place of a Job with its Queue's labels."""
    pod = job.pod.given
    labels = {**job.pod.node_selector, **(queue.node_selector if queue else {})}
    required = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    tolerations = frozenset(
        Toleration(
            str(item.get("key")),
            None if item.get("operator") == "Exists" else str(item.get("value") or ""),
            str(item.get("effect") or ""),
        )
        for item in pod.get("tolerations") or ()
    )
    terms = tuple(_term(term) for term in required.get("nodeSelectorTerms") or ())
    return Place(frozenset(labels.items()), terms, tolerations)


def _term(term: Mapping[str, Any]) -> tuple[Rule, ...]:
    return (
        *_rules(term.get("matchExpressions") or (), field=False),
        *_rules(term.get("matchFields") or (), field=True),
    )


def _rules(items: Sequence[Mapping[str, Any]], *, field: bool) -> list[Rule]:
    return [Rule(item["key"], item["operator"], tuple(item.get("values") or ()), field) for item in items]
