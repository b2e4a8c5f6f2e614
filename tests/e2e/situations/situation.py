"""One row of the table of dirt: a situation on real hosts, and what must come of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

from platformctl import lab as labs
from tests.e2e.conftest import Site


class When(StrEnum):
    """When the dirt is there."""

    BARE = "on hosts that have nothing yet; the preflight is asked"
    FRESH = "before the installation of a lab that has all of these at once"
    INSTALLED = "on the installed site"


class Result(StrEnum):
    """What must come of it."""

    WORKS = "works"
    REFUSED = "refused before any harm, with words"
    NAMED = "named and kept"
    HEALTHY = "healthy afterwards"


@dataclass(frozen=True)
class Place:
    """Where a situation is made: a site on a lab."""

    site: Site
    lab: labs.Lab


def _nothing(place: Place) -> None:
    del place


@dataclass(frozen=True)
class Situation:
    """A row.

    name: in words. dirt: makes it, for the time of its block. words: what the command says, without regard to
    capitals. command: what is typed, in place of the usual one. code: its exit status; None for any but 0.
    kept: asserts that what was there is still there and works, while the dirt is.
    restored: the same after `reset`, for what was there before the installation.
    quick: part of `make test`; all others are in `make dirt`.
    hides: nothing else of that host can be seen, so that it cannot be one of two.
    passes: it passes by itself, so that it is made right before the installation.
    begun: it is met when the installation has begun, so files of ours may be there; nothing else is lost.
    tried: units that a refused value was tried with and taken back, so that they have another process.
    """

    name: str
    when: When
    result: Result
    dirt: Callable[[Place], AbstractContextManager[object]]
    words: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    code: int | None = None
    kept: Callable[[Place], None] = _nothing
    restored: Callable[[Place], None] = _nothing
    quick: bool = False
    hides: bool = False
    passes: bool = False
    begun: bool = False
    tried: tuple[str, ...] = ()
