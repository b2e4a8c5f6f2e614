"""The options that say what becomes of the work on nodes that take no more."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from platformctl.errors import ExitCode, PlatformError

if TYPE_CHECKING:
    from platformctl.engine.handoff.work import Policy

WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait for jobs, and for pods that end by themselves (the default).")
]
RequeueOption = Annotated[
    bool, typer.Option("--requeue", help="Put jobs back into the queue, and evict all pods, at once.")
]
DeadlineOption = Annotated[
    str, typer.Option(metavar="TIME", help="Wait for so long, such as 90s, 30m or 2h, then end what is left.")
]
NowOption = Annotated[bool, typer.Option("--now", help="End all work on the nodes at once.")]
TimeoutOption = Annotated[
    int, typer.Option(min=0, metavar="SECONDS", help="How long to wait without --deadline; nothing is ended.")
]
DEFAULT_SECONDS = 3600


def policy(wait: bool, requeue: bool, deadline: str, now: bool, timeout: int) -> "Policy":
    """The policy of these options. PlatformError: they exclude each other, or the time is none."""
    from platformctl.engine.handoff.work import Policy

    if sum(map(bool, (wait, requeue, deadline, now))) > 1:
        raise PlatformError(
            "--wait, --requeue, --deadline and --now exclude each other",
            next="give one of them",
            code=ExitCode.INVALID,
        )
    seconds = _seconds(deadline) if deadline else float(timeout)
    return Policy(seconds, requeue=requeue, ends=bool(deadline), now=now)


def policy_words(requeue: bool, deadline: str, now: bool, timeout: int) -> str:
    """These options as they are given, without those that have their defaults."""
    chosen = [*["--requeue"] * requeue, *["--now"] * now, *([f"--deadline {deadline}"] if deadline else [])]
    return " ".join([*chosen, *([f"--timeout {timeout}"] if timeout != DEFAULT_SECONDS else [])])


def _seconds(text: str) -> float:
    """The seconds of a time such as 90s, 30m, 2h or 1d."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise PlatformError(
            f"{text!r} is no time", where="--deadline", next="write 90s, 30m, 2h or 1d", code=ExitCode.INVALID
        )
    return int(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[found[2]]
