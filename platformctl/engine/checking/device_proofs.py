"""Proves on real hardware that devices work: each scheduler's work opens its own, and none of the other's.

A job of Slurm and a pod of Kubernetes ask for all devices of a node that are their scheduler's. Where others
hold some of them, nothing is tried.
"""

import asyncio
import json
import shlex
import time
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platformctl.engine import loading, remote
from platformctl.engine.checking.proof import Proof
from platformctl.engine.checking.proofs.common import as_user
from platformctl.engine.checking.proofs.common import user as first_user
from platformctl.engine.cluster import access, nodes
from platformctl.engine.cluster.access import Kubectl
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.site import devices

_SECONDS = 60
_IMAGE = "docker.io/library/debian:13"
_PROVABLE = (devices.PLATFORMCTL, devices.NVIDIA_PLUGIN)
"""Plugins that give a pod the files of the table."""
_BUSY = 75
"""Exit status of the scripts here for devices that others hold; as EX_TEMPFAIL of sysexits.h."""
# A file that a control group forbids fails with EPERM, and one that is not there with ENOENT. Any other error
# is the driver's: then the file was reached.
_OPEN = """
opens() {
  said=$( (: < "$1") 2>&1 ) && return
  case "$said" in *"not permitted"*|*"ermission denied"*|*"o such file"*) return 1;; esac
}
bad= own=0 others=0
for file in %s; do
  if opens "$file"; then own=$((own + 1)); else bad="$bad; its own $file cannot be opened"; fi
done
for file in %s; do
  if opens "$file"; then bad="$bad; $file of others can be opened"; else others=$((others + 1)); fi
done
[ -z "$bad" ] || { echo "${bad#; }"; exit 1; }
listed=
if command -v nvidia-smi >/dev/null; then listed="; nvidia-smi lists $(nvidia-smi -L | wc -l)"; fi
echo "$own device files open, $others of others closed$listed"
"""


def opening(own: Iterable[str], others: Iterable[str]) -> str:
    """A script that opens its own files, and fails if one of the others opens too."""
    return _OPEN % (" ".join(map(shlex.quote, own)), " ".join(map(shlex.quote, others)))


async def prove_devices(fleet: Fleet) -> list[Proof]:
    """A row for each node and scheduler that has devices there now; empty if none has."""
    fleet = loading.evaluated(fleet)
    names = [host.name for host in fleet.hosts.values() if devices.table(host.variables)]
    known = await nodes.read(fleet, names) if names else []
    async with access.kubectl(fleet) as kubectl:
        rows = []
        for node in known:
            table = _present(fleet.hosts[node.name], node.owner)
            if any(row.files for row in table if row.owner == devices.SLURM):
                rows.append(_in_slurm(fleet, node.name, table))
            if kubectl and any(row.files for row in table if row.owner == devices.KUBERNETES):
                rows.append(_in_kubernetes(kubectl, node.name, table))
        return list(await asyncio.gather(*rows))


def _present(host: Host, owner: str) -> list[devices.Row]:
    """The devices of a host that are offered; of a host that moves, those of its present owner."""
    if not devices.moves(devices.on_host(host.variables, host.groups)):
        return list(devices.table(host.variables))
    present = ChainMap({"node_owner": owner}, host.variables)  # type: ignore[arg-type]
    return [row for row in devices.table(present) if row.owner == owner]


async def _in_slurm(fleet: Fleet, node: str, table: Sequence[devices.Row]) -> Proof:
    name = f"devices of {node} in Slurm"
    user, controller = first_user(fleet), fleet.first("slurm_controller")
    if not user or controller is None:
        return _skipped(name, "nobody can submit a job: users_accounts has no present user")
    rows = [row for row in table if row.owner == devices.SLURM and row.files and row.holders == 1]
    if not rows:
        return _skipped(name, "several holders at a time have its devices")
    gres = _counts((":".join(filter(None, (row.name, row.gres_type))), row) for row in rows)
    script = opening(_files(rows), _of_others(table, devices.SLURM))
    step = (
        f"srun --quiet --immediate={_SECONDS // 2} --time=1 --nodes=1 --ntasks=1"
        f' --nodelist={shlex.quote(node)} --partition="$partition" --job-name=platformctl-verify --chdir=/'
        f" --gres={','.join(f'{words}:{count}' for words, count in gres.items())} sh -c {shlex.quote(script)}"
    )
    return await _prove(name, controller.connection, _slurm_script(node, as_user(user, step)))


def _slurm_script(node: str, run: str) -> str:
    return f"""
partition=$(sinfo --noheader --nodes={shlex.quote(node)} --format=%R | head -n 1)
said=$({run} 2>&1)
code=$?
case "$said" in *" busy"*|*"llocation impossible"*) exit {_BUSY};; esac
echo "$said"
exit $code
"""


async def _in_kubernetes(kubectl: Kubectl, node: str, table: Sequence[devices.Row]) -> Proof:
    name = f"devices of {node} in Kubernetes"
    rows = [row for row in table if row.owner == devices.KUBERNETES and row.files]
    rows = [row for row in rows if row.plugin in _PROVABLE and row.holders == 1]
    if not rows:
        return _skipped(name, "another plugin offers its devices, or several holders at a time have them")
    script = opening(_files(rows), _of_others(table, devices.KUBERNETES))
    pod = _pod(node, _counts((row.resource, row) for row in rows), script)
    return await _prove(name, kubectl.connection, _kubernetes_script(kubectl), json.dumps(pod))


def _pod(node: str, counts: Mapping[str, int], script: str) -> dict[str, Any]:
    """A pod that holds that many devices and that the restricted Pod Security profile admits."""
    container = {
        "name": "verify",
        "image": _IMAGE,
        "command": ["sh", "-c", script],
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi", **counts}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"platformctl-verify-devices-{time.time_ns()}", "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "securityContext": security,
            "containers": [container],
        },
    }


def _kubernetes_script(kubectl: Kubectl) -> str:
    return f"""
{kubectl.function(seconds=20)}
pod=$(kubectl create -f - -o name) || exit 1
trap 'kubectl delete --wait=false "$pod" >/dev/null' EXIT
ended='.status.containerStatuses[0].state.terminated'
wait() {{ kubectl wait --request-timeout=0 --timeout={_SECONDS}s --for=jsonpath="{{$ended.reason}}" "$pod"; }}
if wait >/dev/null 2>&1; then
  kubectl logs "$pod"
  [ "$(kubectl get "$pod" -o jsonpath="{{$ended.exitCode}}")" = 0 ]
  exit
fi
said=$(kubectl get "$pod" -o jsonpath='{{.status.conditions}}{{.status.containerStatuses}}')
case "$said" in *Insufficient*) exit {_BUSY};; esac
echo "$said"
exit 1
"""


async def _prove(name: str, connection: Connection, script: str, data: str = "") -> Proof:
    started = time.monotonic()
    reply = await remote.run(connection, script, data, seconds=2 * _SECONDS)
    if reply.code == _BUSY:
        return _skipped(name, "others hold some of them, so nothing was tried")
    found = reply.refusal if reply.unreachable else reply.out.strip() or reply.message
    return Proof(name, reply.code == 0, found, round(time.monotonic() - started, 1))


def _counts(rows: Iterable[tuple[str, devices.Row]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for words, row in rows:
        counts[words] = counts.get(words, 0) + len(row.devices)
    return counts


def _files(rows: Iterable[devices.Row]) -> list[str]:
    return list(dict.fromkeys(file for row in rows for file in row.files))


def _of_others(table: Sequence[devices.Row], owner: str) -> list[str]:
    """The files of the other scheduler's devices. A GPU in slices may be of both."""
    own = set(_files(row for row in table if row.owner == owner))
    return [file for file in _files(row for row in table if row.owner != owner) if file not in own]


def _skipped(name: str, why: str) -> Proof:
    return Proof(name, True, why, 0.0, skipped=True)
