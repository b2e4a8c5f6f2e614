"""The result of a smoke job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """One smoke job: where it ran and what it printed, or what went wrong. seconds: from start to output.

    skipped: it was not tried, and `found` says why; it counts as fine.
    """

    name: str
    fine: bool
    found: str
    seconds: float
    skipped: bool = False

    @property
    def result(self) -> str:
        """The outcome in a word."""
        return "skipped" if self.skipped else "ok" if self.fine else "failed"
