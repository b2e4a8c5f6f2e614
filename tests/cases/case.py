"""One case, and the table of many."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A file, for which back end it was tried, and why it is not accepted as it is; no reasons if it is.

    kind: the folder of such files, `sbatch` or `batch-v1`.
    """

    kind: str
    file: str
    target: str
    reasons: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it needs neither an edit nor an option."""
        return not self.reasons


def share(cases: Sequence[Case]) -> str:
    """How many of the cases are accepted: `138 of 144 (95.8 %)`."""
    good = sum(case.accepted for case in cases)
    return f"{good} of {len(cases)} ({100 * good / len(cases):.1f} %)" if cases else "none"


def table(cases: Sequence[Case], files: bool = False) -> str:
    """For each kind and target how many are accepted, and how often each reason refuses one."""
    lines = []
    for kind, target in dict.fromkeys((case.kind, case.target) for case in cases):
        some = [case for case in cases if (case.kind, case.target) == (kind, target)]
        lines.append(f"{kind} on {target}: accepted without edit or option {share(some)}")
        reasons = Counter(reason for case in some for reason in {_general(text) for text in case.reasons})
        alone = Counter(_general(case.reasons[0]) for case in some if len(case.reasons) == 1)
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"  {count:4} (alone {alone[reason]:3})  {reason}")
        if files:
            lines += [f"  {case.file}: {'; '.join(case.reasons)}" for case in some if case.reasons]
    return "\n".join(lines)


def _general(reason: str) -> str:
    """The reason without what differs from file to file: its line, and quoted values."""
    return re.sub(r"'[^']*'", "'...'", re.sub(r"^line \d+: ", "", reason))[:120]
