"""One run of a command on nodes: its journal, what it tells while it works, and how it ends."""

import time
from collections.abc import Awaitable, Callable, Sequence

from platformctl.console import Output
from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff.each import Ended
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.running import progress
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.errors import ExitCode, PlatformError

Work = Callable[[Say], Awaitable[Sequence[Ended]]]


async def run(
    fleet: Fleet, names: Sequence[str], command: str, options: str, work: Work, output: Output
) -> ExitCode:
    """Do work on nodes, and tell how it ended for each. PlatformError: it failed for one.

    command: its words, such as `node move`; with the options it continues the work after an interruption.
    """
    started = time.monotonic()
    view = progress.view(output, {})
    with (
        ends_cleanly(f"platformctl {command} -i {fleet.inventory} {' '.join(names)}{options}"),
        view,
        Journal(new_run(fleet.state / "runs"), Redactor(fleet.secrets), view.show) as journal,
    ):
        journal.emit("started", site=fleet.site, hosts=len(names), journal=str(journal.folder))

        def say(message: str) -> None:
            journal.emit("remark", message=message)

        with Reporter(fleet, journal, command).concluded(started):
            ended = await work(say)
            for one in ended:
                if one.fine or len(ended) > 1:
                    say(one.words)
            _conclude(fleet, ended)
        journal.emit("finished", nodes=list(names), seconds=round(time.monotonic() - started, 1))
    return ExitCode.DONE


def _conclude(fleet: Fleet, ended: Sequence[Ended]) -> None:
    bad = [one for one in ended if not one.fine]
    if bad:
        raise PlatformError(
            "; ".join(one.words for one in bad),
            where=", ".join(one.name for one in bad),
            next=bad[0].next or f"platformctl status -i {fleet.inventory}",
            code=max(one.code for one in bad),
        )
