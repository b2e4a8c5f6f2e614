"""Selectors of pods in a template: they mean the Job's own pods, which have a label of the router.

A template's labels stay on the Job: on a pod they could join services or steer the network. So a selector
that selects the template's labels is replaced by one that selects the Job's own pods.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from platformctl.jobs.placement import REQUIRED, Rule
from platformctl.vocabulary import JOB_UID_LABEL

_RULES = (REQUIRED, "preferredDuringSchedulingIgnoredDuringExecution")


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a selector of the right shape names a label and selects a pod with these labels."""
    if not isinstance(selector, Mapping):
        return False
    exact, rules = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not exact and not rules:
        return False
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        Rule(rule["key"], rule["operator"], tuple(rule.get("values") or ())).holds(labels) for rule in rules
    )


def selectors(pod: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The paths, below the pod's spec, and the selectors of all rules about other pods."""
    for path, term in _terms(pod):
        yield f"{path}.labelSelector", term.get("labelSelector")


def of_the_job(pod: Mapping[str, Any], uid: str) -> dict[str, Any]:
    """The affinity and spread constraints of a checked pod spec, with selectors of the Job's own pods."""
    own = {"labelSelector": {"matchLabels": {JOB_UID_LABEL: uid}}}
    changed: dict[str, Any] = {}
    if pod.get("topologySpreadConstraints"):
        changed["topologySpreadConstraints"] = [item | own for item in pod["topologySpreadConstraints"]]
    if pod.get("affinity"):
        changed["affinity"] = {
            kind: rules if kind == "nodeAffinity" else _of_pods(rules, own)
            for kind, rules in pod["affinity"].items()
        }
    return changed


def _of_pods(rules: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    required, preferred = (rules.get(name) or [] for name in _RULES)
    changed = {
        _RULES[0]: [term | own for term in required],
        _RULES[1]: [item | {"podAffinityTerm": item["podAffinityTerm"] | own} for item in preferred],
    }
    return {name: terms for name, terms in changed.items() if terms}


def _terms(pod: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, item in enumerate(_list(pod.get("topologySpreadConstraints"))):
        yield f"topologySpreadConstraints[{number}]", _mapping(item)
    affinity = _mapping(pod.get("affinity"))
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = _mapping(affinity.get(kind))
        for number, item in enumerate(_list(rules.get(_RULES[0]))):
            yield f"affinity.{kind}.{_RULES[0]}[{number}]", _mapping(item)
        for number, item in enumerate(_list(rules.get(_RULES[1]))):
            term = _mapping(_mapping(item).get("podAffinityTerm"))
            yield f"affinity.{kind}.{_RULES[1]}[{number}].podAffinityTerm", term


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
