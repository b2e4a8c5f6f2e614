"""Takes nodes out of service for the time of an installation, as `node drain` and `node undrain` do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from platformctl.engine.cluster.node_drain import Say
from platformctl.engine.fleet import Fleet
from platformctl.engine.handoff.each import Ended
from platformctl.engine.handoff.hold import drain_all, undrain_all
from platformctl.engine.handoff.work import Policy
from platformctl.engine.running.protection import put_back
from platformctl.errors import PlatformError

_AT_ONCE = 4
_MORE_TIME = "the same command with more --timeout, or with --deadline; or wait until this work has ended"


def _reason() -> str:
    return f"platformctl install --drain ({datetime.now(UTC).isoformat('T', 'seconds')})"


@dataclass(frozen=True)
class AroundInstall:
    """Drains nodes of a site by a policy, and puts them back.

    options: by which `install` was asked for this. reason: of this run and of no other, so that it puts back
    only what it took out itself.
    """

    fleet: Fleet
    policy: Policy
    options: str = "--drain"
    reason: str = field(default_factory=_reason)

    async def drain(self, names: Sequence[str], say: Say) -> None:
        """Drain nodes. PlatformError: on one of them something still runs; none of them stays drained."""
        try:
            ended = await drain_all(self.fleet, names, self.reason, self.policy, _AT_ONCE, say, keep=True)
            _conclude(ended, _MORE_TIME, say)
        except BaseException:
            await put_back(self, names, say)
            raise

    async def undrain(self, names: Sequence[str], say: Say) -> None:
        """Put back those nodes that this run drained. PlatformError: one of them stays so."""
        ended = await undrain_all(self.fleet, names, _AT_ONCE, say, only=self.reason)
        again = f"platformctl node undrain -i {self.fleet.inventory} "
        _conclude(ended, again + " ".join(one.name for one in ended if not one.fine), say)


def _conclude(ended: Sequence[Ended], remedy: str, say: Say) -> None:
    for one in ended:
        if one.fine:
            say(one.words)
    bad = [one for one in ended if not one.fine]
    if bad:
        raise PlatformError(
            "; ".join(one.words for one in bad),
            where=", ".join(one.name for one in bad),
            next=remedy,
            code=max(one.code for one in bad),
        )
