"""Builds the Slurm back end, which is polled."""

import ssl

from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.slurm import DIALECTS
from platformctl.router.assembly import Assembled, Surroundings
from platformctl.router.slurm.backend import SlurmBackend
from platformctl.router.slurm.contents import reading


async def build(around: Surroundings) -> Assembled | None:
    """Build it; None if the site's configuration has no Slurm."""
    entry = around.config.slurm
    if entry is None:
        return None
    tls = ssl.create_default_context(cafile=str(entry.ca_file)) if entry.ca_file else None
    minter = TokenMinter(entry.key_file.read_bytes())
    client = await around.stack.enter_async_context(SlurmRestClient(entry.address, minter, DIALECTS, tls))
    read = reading(around.client)
    return Assembled(SlurmBackend(client, around.config.site, entry.reader, entry.interval, read))
