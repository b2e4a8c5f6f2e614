"""Tokens for Slurm's REST interface, made by the controller for one user and a short time."""

import getpass
import shlex

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet
from platformctl.errors import ExitCode, PlatformError

_PREFIX = "SLURM_JWT="
_TAG = "platformctl"


async def make(fleet: Fleet, user: str, seconds: int) -> str:
    """A token that lets its bearer act as the user. The controller's journal keeps who asked for it.

    PlatformError: the site has no Slurm (code INVALID), or its controller makes no token.
    """
    host = fleet.first("slurm_controller")
    if host is None:
        raise PlatformError(
            "this site has no Slurm controller", where=str(fleet.inventory), code=ExitCode.INVALID
        )
    name, record = shlex.quote(user), f"token of Slurm for {user}, {seconds} s, asked for by {_operator()}"
    script = (
        f"scontrol token username={name} lifespan={seconds} || exit 1\n"
        f"logger --priority auth.notice --tag {_TAG} -- {shlex.quote(record)}"
    )
    reply = await remote.run(host.connection, script)
    token = reply.out.strip()
    if reply.code != 0 or not token.startswith(_PREFIX):
        raise PlatformError(
            f"Slurm makes no token for {user}: {reply.message if reply.code else 'scontrol printed none'}",
            where=host.name,
            next=f"platformctl status -i {fleet.inventory}",
        )
    return token.removeprefix(_PREFIX)


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an unknown user"
