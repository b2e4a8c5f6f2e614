"""`python -m platformctl.device_plugin`: offers what the variable DEVICES says, until SIGTERM."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import structlog

from platformctl.device_plugin.offer import Offer, offers
from platformctl.device_plugin.server import Plugin

SOCKETS = Path("/var/lib/kubelet/device-plugins")
DEVICES = Path("/host/dev")
HEALTH = Path("/host/device-health/state.json")


async def serve(wanted: list[Offer]) -> None:
    """Run a plugin for each offer."""
    running = asyncio.gather(*(Plugin(offer, SOCKETS, DEVICES, HEALTH).run() for offer in wanted))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await running


def main() -> int:
    """The exit status: 2 if DEVICES is not what platformctl writes."""
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])
    try:
        wanted = offers(os.environ.get("DEVICES", ""))
    except ValueError as error:
        structlog.get_logger().error("DEVICES cannot be read", reason=str(error))
        return 2
    try:
        asyncio.run(serve(wanted))
    except asyncio.CancelledError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
