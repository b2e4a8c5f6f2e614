"""Proofs of new secrets of Slurm: the new one is accepted, and the old one is refused."""

import asyncio
import base64
import shlex

from platformctl.clients.slurmrestd import TokenMinter
from platformctl.engine import remote
from platformctl.engine.checking import job_proofs
from platformctl.engine.checking.proofs.common import user as first_user
from platformctl.engine.fleet import Fleet, Host
from platformctl.errors import PlatformError
from platformctl.site import rotations
from platformctl.site.rotations import Phase

_AGAIN = "the same command again continues"
# A second munged with the key on standard input, to make a credential as somebody with the old key would.
_FORGE = """
set -eu
umask 077
folder=$(mktemp -d /run/platformctl-munge.XXXXXX)
trap 'kill "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null; rm -rf "$folder"' EXIT
base64 -d > "$folder/key"
munged --key-file="$folder/key" --socket="$folder/socket" --pid-file="$folder/pid" --log-file="$folder/log" \\
  --seed-file="$folder/seed" --force >/dev/null 2>&1
munge --no-input --socket="$folder/socket"
"""
_ASK_SLURM = """
read -r token
SLURM_JWT=$token scontrol --hide show config >/dev/null
"""
_LOG_IN = """
read -r password
MYSQL_PWD=$password mariadb --user "$1" --database "$2" --execute 'SELECT 1' >/dev/null
"""


async def munge_agrees(fleet: Fleet) -> str:
    """Each host decodes what the first one encodes, and refuses what is encoded with the old key."""
    hosts = [fleet.hosts[name] for name in fleet.members("munge")]
    made = await remote.run(hosts[0].connection, "munge --no-input")
    _fine(made.code, f"munge does not encode: {made.message}", hosts[0])
    for host, reply in zip(hosts, await _all(hosts, "unmunge --output=/dev/null", made.out), strict=True):
        _fine(reply.code, f"munge on {host.name} does not accept {hosts[0].name}'s: {reply.message}", host)
    old = fleet.variables.get(f"{rotations.MUNGE_KEY}_{Phase.RETIRED}")
    if old:
        forged = await remote.run(hosts[0].connection, _FORGE, str(old))
        _fine(forged.code, f"the old key cannot be tried: {forged.message}", hosts[0])
        for host, reply in zip(
            hosts, await _all(hosts, "unmunge --output=/dev/null", forged.out), strict=True
        ):
            _refused(reply.code, f"munge on {host.name} still accepts the old key", host)
    controller = fleet.first("slurm_controller")
    if controller:
        reply = await remote.run(controller.connection, "scontrol ping | grep -q 'is UP'")
        _fine(reply.code, f"slurmctld does not answer: {reply.message}", controller)
    return f"all {len(hosts)} hosts accept each other and refuse the old key"


async def tokens_follow(fleet: Fleet) -> str:
    """slurmctld accepts a token of the new key and refuses one of the old; a Job goes through the router."""
    controller = fleet.first("slurm_controller")
    if controller:
        for value, accepted in (
            (fleet.variables[rotations.JWT_KEY], True),
            (fleet.variables.get(f"{rotations.JWT_KEY}_{Phase.RETIRED}"), False),
        ):
            if value:
                await _try_token(controller, str(value), accepted)
    return await jobs_run(fleet)


async def _try_token(controller: Host, key: str, accepted: bool) -> None:
    token = TokenMinter(base64.b64decode(key)).token("slurm")
    reply = await remote.run(controller.connection, _ASK_SLURM, f"{token}\n")
    if accepted:
        _fine(reply.code, f"slurmctld refuses a token of the new key: {reply.message}", controller)
    else:
        _refused(reply.code, "slurmctld still accepts tokens of the old key", controller)


async def jobs_run(fleet: Fleet) -> str:
    """A Job of a user goes to Slurm through the router, and back."""
    user = first_user(fleet)
    if not (user and fleet.has_cluster and fleet.has_slurm):
        return "new tokens are accepted, old ones are refused"
    for proof in await job_proofs.prove_jobs(fleet, user):
        if not proof.fine:
            raise PlatformError(f"{proof.name}: {proof.found}", next=_AGAIN)
    return f"a Job of {user} ran on Slurm and on Kubernetes"


async def database_password(fleet: Fleet) -> str:
    """The database lets in the new password and not the old one; slurmdbd answers."""
    host = fleet.first("slurm_accounting")
    if host is None:
        return "no host has a database"
    user = host.variables.get("slurm_accounting_database_user") or "slurm"
    database = host.variables.get("slurm_accounting_database") or "slurm_acct_db"
    script = f"set -- {shlex.quote(str(user))} {shlex.quote(str(database))}; {_LOG_IN}"
    new = fleet.variables[rotations.ACCOUNTING_PASSWORD]
    reply = await remote.run(host.connection, script, f"{new}\n")
    _fine(reply.code, f"the database refuses the new password: {reply.message}", host)
    old = fleet.variables.get(f"{rotations.ACCOUNTING_PASSWORD}_{Phase.RETIRED}")
    if old:
        reply = await remote.run(host.connection, script, f"{old}\n")
        _refused(reply.code, "the database still accepts the old password", host)
    controller = fleet.first("slurm_controller")
    if controller:
        reply = await remote.run(controller.connection, "sacctmgr --noheader show cluster format=cluster")
        _fine(reply.code, f"slurmdbd does not answer: {reply.message}", controller)
    return "the database refuses the old password, and slurmdbd answers"


async def _all(hosts: list[Host], script: str, data: str) -> list[remote.Reply]:
    return list(await asyncio.gather(*(remote.run(host.connection, script, data) for host in hosts)))


def _fine(code: int, what: str, host: Host) -> None:
    if code != 0:
        raise PlatformError(what, where=host.name, next=_AGAIN)


def _refused(code: int, what: str, host: Host) -> None:
    if code == 0:
        raise PlatformError(what, where=host.name, next=f"restart the service there; {_AGAIN}")
