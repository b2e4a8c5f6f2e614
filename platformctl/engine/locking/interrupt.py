"""Ends a run cleanly after a signal: playbooks end, locks are released, the journal is closed."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any

from platformctl.errors import PlatformError

# SIGTERM is what init systems and `kill` send. A shell starts background commands with SIGINT ignored,
# which asyncio would leave so; an interruption that was sent on purpose must work there too.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def ends_cleanly(command: str) -> Iterator[None]:
    """Cancel the current task when a signal comes, and raise PlatformError after its clean-up.

    command: the command line that continues the work. A second signal interrupts the clean-up, but for what
    is done `to_its_end`.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    came: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not came:
            raise
        raise PlatformError(
            f"{came[0].name} ended the run", next=f"{command} continues where it stopped"
        ) from None
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def to_its_end[T](work: Coroutine[Any, Any, T]) -> T:
    """Do work that must not stay half done; if this task is cancelled meanwhile, it ends after the work."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled:
        raise cancelled
    return result
