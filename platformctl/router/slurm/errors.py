"""Translates errors of slurmrestd to exceptions of the back-end protocol and to texts for people."""

from platformctl.clients.slurmrestd import SlurmBusyError, SlurmError, SlurmUnavailableError
from platformctl.router.backend import Busy, Denied, Unavailable

_HINTS = {
    2081: "the array is larger than Slurm allows (MaxArraySize), or not understood",
    2014: "no node of Slurm has what it asks for",
}


def unavailable(error: SlurmError) -> Unavailable:
    """The kind of Unavailable for an error: Busy, no answer, or Denied for this one request."""
    if isinstance(error, SlurmBusyError):
        return Busy(words(error))
    return (Unavailable if isinstance(error, SlurmUnavailableError) else Denied)(words(error))


def words(error: SlurmError) -> str:
    """What Slurm said, as a sentence about Slurm."""
    if isinstance(error, SlurmBusyError):
        return f"Slurm accepts no more jobs now: {error.message}"
    verb = "does not answer" if isinstance(error, SlurmUnavailableError) else "refuses"
    return f"Slurm {verb}: {error.message}"


def verdict(error: SlurmError) -> str:
    """Why a job is refused for good, and what to change if that is known."""
    hint = _HINTS.get(error.number)
    return f"{error.message} ({hint})" if hint else error.message
