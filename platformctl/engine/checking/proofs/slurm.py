"""Checks of Slurm: credentials, accounting, the controller, nodes, a job step, and the REST service."""

import re
import shlex
from collections.abc import Mapping

from platformctl.engine.checking.proofs.common import as_user, authority, domain, port, user
from platformctl.engine.checking.proofs.health_check import (
    GLOBAL,
    SKIPPED,
    HealthCheck,
    Outcome,
    Place,
    Scene,
)
from platformctl.engine.checking.proofs.script import on_host
from platformctl.engine.fleet import Fleet, Host

# A line for each node and partition. %T state, %v slurmd's version, %P partition, %E the reason.
CLUSTER = "scontrol ping && echo -- && sinfo --noheader --Node --format='%N|%T|%v|%P|%E'"
"""One question for all that slurmctld knows of its nodes. `status` shows more of the same answer."""

# States by node_state_string of Slurm 24.11 of nodes that run jobs or were taken out of service on purpose.
# All others (down, fail, failing, future, inval, unknown) are unhealthy.
_GOOD_STATES = {
    *("allocated", "blocked", "completing", "idle", "mixed", "planned", "reserved"),
    *("drained", "draining", "maint", "reboot"),
}
_DRAINED = ("drained", "draining")
# A flag may follow the state. `*` is left out on purpose: it says that the node does not answer.
_FLAGS = "$^@#%~!+-"
# How Slurm itself begins the reason of a drain. What people write begins otherwise.
_BY_SLURM = re.compile(
    r"^(Low (RealMemory|CPUs|TmpDisk|socket)|gres/.* count |Kill task failed|Prolog error|Epilog error"
    r"|batch job complete failure|Duplicate jobid|Not responding|Node unexpectedly rebooted|reboot timed out)"
)
# Of these the cause is gone once slurmctld accepts what the node reports; the role then ends the drain.
_MEASURED = r"^Low (RealMemory|CPUs|TmpDisk|socket)"


def states(output: str) -> dict[str, tuple[str, str, str]]:
    """State, version and reason of each node, in the answer to CLUSTER."""
    found = {}
    for line in output.partition("--\n")[2].splitlines():
        fields = line.split("|", 4)
        if len(fields) == 5:
            name, state, version, _partition, reason = fields
            found[name] = (state, version, "" if reason == "none" else reason)
    return found


def node_outcome(state: str, reason: str) -> Outcome:
    """Whether Slurm uses a node, or a person took it out of service on purpose."""
    base = state.rstrip(_FLAGS)
    because = f": {reason}" if reason else ""
    if base not in _GOOD_STATES:
        return Outcome(False, f"Slurm says {state}{because}")
    if base in _DRAINED and _BY_SLURM.match(reason):
        return Outcome(False, f"Slurm itself has taken it out of service{because}")
    return Outcome(True, f"{state}{because}")


def _read_nodes(scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    if code != 0:
        return _silent(asked, output)
    known = states(output)
    members = [name for name in scene.fleet.members("slurm_node") if scene.has(name, "slurm_node")]
    return {
        name: node_outcome(known[name][0], known[name][2])
        if name in known
        else Outcome(False, "Slurm does not know it")
        for name in members
    }


def _read_controller(_scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    if code != 0:
        return _silent(asked, output)
    invalid = [
        f"{name} ({reason})"
        for name, (state, _, reason) in states(output).items()
        if state.startswith("inval")
    ]
    if invalid:
        return {GLOBAL: Outcome(False, f"slurmctld refuses what nodes report: {', '.join(invalid)}")}
    return {GLOBAL: Outcome(True, "slurmctld answers")}


def _silent(asked: str, output: str) -> Mapping[str, Outcome]:
    # `scontrol ping` frames its advice with stars.
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("*")]
    words = " / ".join(lines[:2]) or "no answer in time"
    return {GLOBAL: Outcome(False, f"slurmctld does not answer on {asked}: {words}")}


_MUNGE = """
[ -n "$given" ] || { echo "the first host made no credential"; exit 1; }
said=$(printf '%s\\n' "$given" | unmunge --metadata=/dev/stdout --output=/dev/null 2>&1) && {
  echo "a credential of another host is accepted"; exit 0; }
printf '%s\\n' "a credential of the first host of group munge is refused: $said" | tail -n 1; exit 1
"""


def _accounting_port(_fleet: Fleet, host: Host) -> str:
    number = port(host, "slurm_accounting_port")
    return f"""
exec python3 -c '
import socket, sys
try:
    socket.create_connection(("127.0.0.1", {number}), timeout=2).close()
except OSError as error:
    sys.exit(f"slurmdbd does not answer on port {number}: {{error}}")
'
"""


_SACCTMGR = "sacctmgr --noheader --parsable2 show cluster format=cluster"


def _read_accounting(_scene: Scene, asked: str, code: int, output: str) -> Mapping[str, Outcome]:
    words = " / ".join(output.strip().splitlines()[-2:]) or "no answer in time"
    return {GLOBAL: Outcome(code == 0, "accounting answers" if code == 0 else f"asked from {asked}: {words}")}


# A drained node that Slurm accepts has the state `drained`; one that it refuses has `inval`.
_OWN_DRAINS = f"""
listed=$(timeout 5 sinfo --noheader --Node --states=drain --format='%T %N %E') || {{
  echo "not tried: slurmctld does not answer"; exit {SKIPPED}; }}
nodes=$(printf '%s\\n' "$listed" | sort -u |
  while read -r state node reason; do
    case "$state" in
      drained | draining) printf '%s\\n' "$reason" | grep -Eq {shlex.quote(_MEASURED)} && echo "$node" ;;
    esac
  done)
[ -z "$nodes" ] && exit 0
echo "Slurm took $(echo $nodes) out of service for its size, and accepts it now"; exit 1
"""


def _step(fleet: Fleet, host: Host) -> str:
    name = shlex.quote(host.name)
    partition = f"partition=$(sinfo --noheader --nodes={name} --format=%R | head -n 1)"
    who = user(fleet)
    run = (
        f"srun --quiet --immediate=5 --time=1 --nodes=1 --ntasks=1 --nodelist={name} "
        '--partition="$partition" --job-name=platformctl-proof --chdir=/ hostname'
    )
    step = as_user(who, run) if who else f"cd / && {run}"
    return f"""
state=$(sinfo --noheader --nodes={name} --format=%T | sort -u | head -n 1)
case "$state" in
  idle) ;;
  allocated*|mixed*|completing*|planned*|reserved*|blocked*|maint*|drain*)
    echo "not tried: the node is $state"; exit {SKIPPED} ;;
  *) echo "no job can start: Slurm says ${{state:-nothing of it}}"; exit 1 ;;
esac
{partition}
said=$({step} 2>&1) && {{ echo "a job step ran on $said"; exit 0; }}
state=$(sinfo --noheader --nodes={name} --format=%T | sort -u | head -n 1)
case "$said" in
  *"Unable to allocate"*|*"immediate"*)
    [ "$state" = idle ] || {{ echo "not tried: the node is $state"; exit {SKIPPED}; }} ;;
esac
echo "a job step does not run: $(printf '%s\\n' "$said" | tail -n 2 | tr '\\n' ' ')"; exit 1
"""


def _wrapper(fleet: Fleet, _host: Host) -> str:
    who = user(fleet) or "nobody"
    run = as_user(who, "platform-run-image --help")
    return f"""
said=$({run} 2>&1) && {{ echo "{who} can run platform-run-image"; exit 0; }}
echo "{who} cannot run platform-run-image: $(printf '%s\\n' "$said" | tail -n 1)"; exit 1
"""


def _rest(fleet: Fleet, host: Host) -> str:
    base = f"https://rest.{domain(fleet)}:{port(host, 'slurm_rest_port')}/slurm"
    who = user(fleet)
    name = f"username={shlex.quote(who)}" if who else ""
    ask = on_host("get", "PLACE", authority(fleet)).removeprefix("exec ").replace("PLACE", '"$url"')
    return f"""
token=$(scontrol token {name} lifespan=60) || exit 1
for version in v0.0.42 v0.0.41 v0.0.40 v0.0.39 v0.0.38; do
  url={base}/$version/partitions/
  TOKEN=${{token#SLURM_JWT=}} {ask} && exit 0
  [ $? = 2 ] || exit 1
done
exit 1
"""


MUNGE = HealthCheck(
    "munge",
    lambda _fleet, _host: _MUNGE,
    patience=20,
    look="journalctl -u munge -n 50",
    source="munge --no-input",
)
ACCOUNTING_PORT = HealthCheck(
    "port of slurmdbd", _accounting_port, patience=60, look="journalctl -u slurmdbd -n 50"
)
ACCOUNTING = HealthCheck(
    "slurmdbd",
    place=Place.SLURM,
    question=_SACCTMGR,
    of_group="slurm_accounting",
    read=_read_accounting,
    patience=60,
    quick=True,
    look="journalctl -u slurmdbd -n 50",
)
CONTROLLER = HealthCheck(
    "slurmctld",
    place=Place.SLURM,
    question=CLUSTER,
    read=_read_controller,
    patience=60,
    quick=True,
    look="journalctl -u slurmctld -n 50",
)
OWN_DRAINS = HealthCheck("drains of Slurm", lambda _fleet, _host: _OWN_DRAINS, patience=30, quick=True)
NODES = HealthCheck(
    "slurm node",
    place=Place.SLURM,
    question=CLUSTER,
    read=_read_nodes,
    patience=60,
    quick=True,
    look="scontrol show node; journalctl -u slurmd -n 50",
)
STEP = HealthCheck("job step", _step, seconds=20, patience=40, look="journalctl -u slurmd -n 50")
WRAPPER = HealthCheck("container command", _wrapper, patience=10, quick=True)
REST = HealthCheck(
    "slurmrestd", _rest, patience=60, quick=True, look="journalctl -u slurmrestd -u slurm-rest-tls -n 50"
)
