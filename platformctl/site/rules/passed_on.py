"""Rules on values that are passed on to a program: what it refuses whatever the host is.

The program itself has the last word, on the host and before its files are in place. This only tells earlier.
"""

import re
from collections.abc import Iterator
from typing import Any

from platformctl.site.mistakes import Key, Mistake, use_instead
from platformctl.site.rules.facts import Facts
from platformctl.site.rules.kubelet_fields import KUBELET_FIELDS
from platformctl.site.values import templated

_OVERRIDES = "kubernetes_kubelet_overrides"
_RESERVED = ("systemReserved", "kubeReserved")
_QUANTITY = re.compile(r"[+-]?[0-9.]+([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?")
_UNIT_LIMITS = ("containerd_service_limits", "slurm_node_service_limits")
# LimitCPU and LimitRTTIME are times.
_NUMBERS = re.compile(r"Limit(?!CPU$|RTTIME$)[A-Z]+")
_LIMIT = re.compile(r"(infinity|[0-9]+[KMGTPE]?)(:(infinity|[0-9]+[KMGTPE]?))?")


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of values that are passed on, once for each place that sets them."""
    seen: set[tuple[str, tuple[Key, ...]]] = set()
    for host in facts.effective.hosts:
        for variable, mistakes in ((_OVERRIDES, _kubelet), *((name, _limits) for name in _UNIT_LIMITS)):
            value = facts.variables[host].get(variable)
            for keys, found, problem, remedy in mistakes(value) if isinstance(value, dict) else ():
                source = facts.effective.origin(host, variable)
                place = (str(source.document.path), (variable, *keys))
                if place not in seen:
                    seen.add(place)
                    yield source.mistake((variable, *keys), found, problem, remedy)


_Found = Iterator[tuple[tuple[Key, ...], Any, str, str]]


def _kubelet(overrides: dict[str, Any]) -> _Found:
    for name in overrides:
        if name not in KUBELET_FIELDS:
            remedy = use_instead(name, KUBELET_FIELDS, "see the fields of KubeletConfiguration (v1beta1)")
            yield (name,), None, "the kubelet has no such field", remedy
    for name in _RESERVED:
        reserved = overrides.get(name)
        for resource, amount in reserved.items() if isinstance(reserved, dict) else ():
            if not templated(amount) and not _QUANTITY.fullmatch(str(amount)):
                yield (name, resource), amount, "is not a quantity", "write it as 500m, 1Gi or 1G"


def _limits(limits: dict[str, Any]) -> _Found:
    for name, value in limits.items():
        if _NUMBERS.fullmatch(str(name)) and not templated(value) and not _LIMIT.fullmatch(str(value)):
            yield (
                (name,),
                value,
                "is not a limit of systemd",
                "write a number, such as 65536 or 8M, or infinity",
            )
