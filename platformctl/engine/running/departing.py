"""Ends what users who leave the site still run: their jobs on both schedulers.

Their processes on hosts end when posix_accounts removes the account.
"""

import shlex
from collections.abc import Sequence

from platformctl.engine import remote
from platformctl.engine.checking import leaving
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Fleet
from platformctl.errors import PlatformError
from platformctl.vocabulary import CANCEL_REQUESTED, GROUP

_REQUEST_SECONDS, _SECONDS = 20, 150
# The router cancels on either scheduler and keeps the Job as a record.
_CANCEL_JOBS = f"""{leaving.USERS}
active() {{
  jobs=$({leaving.JOBS}) || {{ echo not known; return; }}
  echo "$jobs" | awk -v user="$1" '{leaving.ACTIVE_JOB} && $4 == user {{print $1, $2}}'
}}
for user in USERS; do
  active "$user" | while read -r namespace name; do
    kubectl annotate jobs.{GROUP} --namespace "$namespace" "$name" {CANCEL_REQUESTED}=true --overwrite >&2
  done
done
for second in $(seq 30); do
  left=; for user in USERS; do left="$left$(active "$user")"; done
  [ -n "$left" ] || exit 0
  sleep 2
done
echo "Jobs are still active: $left" >&2; exit 1
"""
_CANCEL_SLURM = """
command -v scancel >/dev/null || exit 0
active() {
  jobs=$(squeue --noheader --format='%u %i') || { echo not known; return; }
  echo "$jobs" | awk -v user="$1" '$1 == user {print $2}'
}
for user in USERS; do [ -z "$(active "$user")" ] || scancel --user="$user"; done
for second in $(seq 30); do
  left=; for user in USERS; do left="$left$(active "$user")"; done
  [ -n "$left" ] || exit 0
  sleep 2
done
echo "Slurm still has the jobs $left" >&2; exit 1
"""


async def end_work(fleet: Fleet, names: Sequence[str]) -> None:
    """Cancel the jobs of these users. PlatformError: one of them has not ended in time."""
    users = shlex.join(names)
    async with access.kubectl(fleet) as kubectl:
        if kubectl is not None:
            script = f"{kubectl.function(_REQUEST_SECONDS)}\n{_CANCEL_JOBS.replace('USERS', users)}"
            _check(await remote.run(kubectl.connection, script, seconds=_SECONDS), "Kubernetes", fleet)
    host = fleet.first("slurm_controller")
    if host is not None:
        script = _CANCEL_SLURM.replace("USERS", users)
        _check(await remote.run(host.connection, script, seconds=_SECONDS), "Slurm", fleet)


def _check(reply: remote.Reply, where: str, fleet: Fleet) -> None:
    if reply.code != 0:
        raise PlatformError(
            f"the work of users who leave could not be ended, so nobody was removed: {reply.message}",
            where=where,
            next=f"platformctl status -i {fleet.inventory}",
        )
