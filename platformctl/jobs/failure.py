"""What the failure of an attempt means, by the rules of podFailurePolicy.

Kubernetes applies the rules to its pods itself. For other back ends the router applies them to attempts.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from platformctl.jobs.model import FailureRule

# The condition of a pod that the cluster ended, and not the job.
DISRUPTED = "DisruptionTarget"


class Verdict(Enum):
    """COUNTS: one of the retries is used. FREE: tried again without using one. FINAL: not tried again."""

    COUNTS = "counts"
    FREE = "free"
    FINAL = "final"


_VERDICTS = {
    "FailJob": Verdict.FINAL,
    "FailIndex": Verdict.FINAL,
    "Ignore": Verdict.FREE,
    "Count": Verdict.COUNTS,
}


def verdict(rules: Sequence[FailureRule], exit_code: int | None, *, disrupted: bool) -> Verdict:
    """The verdict of the first rule that matches; without one, a failure counts.

    disrupted: the node failed or the job was preempted. A rule for the exit code of a named container means
    the main one, which is the only one that a back end without pods has.
    """
    for rule in rules:
        if _matches(rule, exit_code, disrupted):
            return _VERDICTS[rule.action]
    return Verdict.COUNTS


def ignored(rules: Sequence[FailureRule], attempts: Iterable[Mapping[str, Any]]) -> int:
    """How many of the recorded earlier attempts used none of the retries, by their exit codes."""
    codes = (attempt.get("exitCode") for attempt in attempts)
    return sum(verdict(rules, code, disrupted=code is None) is Verdict.FREE for code in codes)


def _matches(rule: FailureRule, exit_code: int | None, disrupted: bool) -> bool:
    if rule.conditions:
        return disrupted and DISRUPTED in rule.conditions
    if not exit_code:
        return False
    return (exit_code not in rule.codes) if rule.others else (exit_code in rule.codes)
