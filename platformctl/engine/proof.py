"""The result of a smoke job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """One smoke job: where it ran and what it printed, or what went wrong. seconds: from start to output."""

    name: str
    fine: bool
    found: str
    seconds: float
