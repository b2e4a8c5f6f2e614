"""Takes a node out of Kubernetes and out of Slurm: first its work, then the node.

Pods are evicted, so that disruption budgets are respected, unless no other node takes any. A node that does
not answer has nothing to evict: its pods are deleted by force, so that their controllers start others
elsewhere. Every step may be repeated.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from platformctl.engine import remote
from platformctl.engine.cluster import membership
from platformctl.engine.cluster.access import ADMIN
from platformctl.engine.cluster.membership import KUBECTL, ClusterNode, counted
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.remote import Reply
from platformctl.errors import ExitCode, PlatformError

REASON = "platformctl: node remove"
"""Slurm's reason for the drain. The stage slurm_node ends drains with this reason when the node is back."""

_ROUND_SECONDS = 15
_POLL_SECONDS = 3
_KILL_SECONDS = 60
_SHOWN = 5
_BUDGET = re.compile(r'pods/"([^"]+)" -n "([^"]+)".*disruption budget')
# A kubelet that comes back gets no certificate any more.
_FORGET = """
python3 - {name} <<'END'
import json, os, sys
path = "/etc/kubernetes/apiserver/hosts.json"
if os.path.exists(path):
    hosts = json.load(open(path))
    if hosts.pop(sys.argv[1], None) is not None:
        with open(path + ".new", "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(json.dumps(hosts, indent=4, sort_keys=True) + "\\n")
        os.rename(path + ".new", path)
END
"""

Say = Callable[[str], None]


async def drain_pods(fleet: Fleet, node: ClusterNode, seconds: float, last: bool, say: Say) -> None:
    """Cordon the node and evict its pods. PlatformError: some are still there after `seconds`.

    last: no other node takes pods, so that no disruption budget could ever be kept; pods are deleted then.
    """
    deadline = time.monotonic() + seconds
    command = (
        f"kubectl --kubeconfig /etc/kubernetes/admin.conf drain {node.name} --ignore-daemonsets"
        f" --delete-emptydir-data --force --timeout={_ROUND_SECONDS}s"
        f"{' --disable-eviction' if last else ''}"
    )
    while True:
        reply = await _on_kubernetes(fleet, command, _ROUND_SECONDS + 30)
        if reply.code == 0:
            return
        left = await membership.pods_of(fleet, node.name)
        if not left and "pods" not in reply.err:
            raise _failed(fleet, node.name, reply)
        kept = {f"{namespace}/{pod}" for pod, namespace in _BUDGET.findall(reply.err)}
        words = _some([f"{pod} (its disruption budget)" if pod in kept else pod for pod in left])
        if time.monotonic() > deadline:
            raise PlatformError(
                f"{counted(len(left), 'pod')} did not leave {node.name} within {seconds:.0f} s: {words}",
                where=f"{node.name}, which takes no new pods now",
                next="give these pods another node or delete them, then the same command again; or keep the"
                f" node: kubectl uncordon {node.name}",
                code=ExitCode.REFUSED,
            )
        say(f"{node.name}: waiting for {counted(len(left), 'pod')} to end: {words}")


async def drain_jobs(fleet: Fleet, node: ClusterNode, seconds: float, end: bool, say: Say) -> None:
    """Let no job start on the node, and wait for those that run, or end them.

    PlatformError: some still run after `seconds`.
    """
    # A drain that somebody else made keeps its reason. With 'down', Slurm gives up the jobs of a lost node.
    state = "drain" if node.ready else "down"
    if not node.state.startswith("drain") or not node.ready:
        await _on_slurm(fleet, f"scontrol update nodename={node.name} state={state} reason='{REASON}'")
    if not node.ready:
        return
    deadline = time.monotonic() + (_KILL_SECONDS if end else seconds)
    if end:
        await _on_slurm(fleet, f"scancel --nodelist={node.name}")
    said = ""
    while left := await _jobs(fleet, node.name):
        words = f"{node.name}: waiting for {counted(len(left), 'job')} to end: {_some(left)}"
        if time.monotonic() > deadline:
            raise PlatformError(
                f"not ended on {node.name}: {counted(len(left), 'job')}: {_some(left)}",
                where=f"{node.name}, on which no job starts now",
                next="wait for them and repeat the command, or end them with --end-jobs; or keep the node:"
                f" scontrol update nodename={node.name} state=resume",
                code=ExitCode.REFUSED,
            )
        if words != said:
            say(words)
            said = words
        await asyncio.sleep(_POLL_SECONDS)


async def delete_node(fleet: Fleet, node: ClusterNode) -> None:
    """Take the node out of Kubernetes, with the pods that only a lost kubelet could end."""
    force = (
        f"{KUBECTL} delete pods --all-namespaces --field-selector=spec.nodeName={node.name} --force"
        " --grace-period=0 --wait=false 2>/dev/null;"
    )
    script = f"{'' if node.ready else force} {KUBECTL} delete node --ignore-not-found {node.name}"
    reply = await _on_kubernetes(fleet, script, 60)
    if reply.code != 0:
        raise _failed(fleet, node.name, reply)


async def forget(fleet: Fleet, name: str) -> str:
    """Drop what the control plane keeps of a node: its moves and drains, and which certificates it may have.

    A node that belongs to Slurm now is not in Kubernetes, and is known there all the same. Returns in words
    what is left to do; empty if nothing is.
    """
    kept = f"{KUBECTL} --namespace kube-system delete configmap --ignore-not-found platformctl-node-{name}"
    script = f"[ ! -e {ADMIN} ] || {kept} || exit 1\n{_FORGET.format(name=name)}"
    try:
        reply = await _on_kubernetes(fleet, script, 30)
        why = reply.message if reply.code != 0 else ""
    except PlatformError as error:
        why = error.what
    again = "the same command again, once it answers"
    return f"{name}: the control plane still knows it ({why}); {again}" if why else ""


async def volumes_of(fleet: Fleet, name: str) -> list[str]:
    """The claims whose volume lies on the node, as NAMESPACE/NAME."""
    reply = await _on_kubernetes(fleet, f"{KUBECTL} get persistentvolumes --output=json", 20)
    items = (reply.document or {}).get("items", [])
    claims = [
        item["spec"]["claimRef"] for item in items if name in _hosts(item) and item["spec"].get("claimRef")
    ]
    return [f"{claim['namespace']}/{claim['name']}" for claim in claims]


def _hosts(volume: dict[str, Any]) -> set[str]:
    """The nodes that a volume may be used on; empty for any."""
    required = ((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get(
        "nodeSelectorTerms"
    ) or []
    return {
        value
        for term in required
        for expression in term.get("matchExpressions") or []
        for value in expression.get("values") or []
    }


async def _jobs(fleet: Fleet, name: str) -> list[str]:
    reply = await _on_slurm(fleet, f"squeue --noheader --nodelist={name} --states=R,S,CG --format='%A (%u)'")
    return reply.out.splitlines()


async def _on_slurm(fleet: Fleet, script: str) -> Reply:
    host = fleet.first("slurm_controller")
    return await _run(fleet, host, script, 30)


async def _on_kubernetes(fleet: Fleet, script: str, seconds: float) -> Reply:
    host = fleet.first("kubernetes_control_plane")
    return await _run(fleet, host, script, seconds, strict=False)


async def _run(fleet: Fleet, host: Host | None, script: str, seconds: float, strict: bool = True) -> Reply:
    if host is None:
        return Reply(0, "", "")
    reply = await remote.run(host.connection, script, seconds=seconds)
    if reply.unreachable or (strict and reply.code != 0):
        raise _failed(fleet, host.name, reply)
    return reply


def _failed(fleet: Fleet, name: str, reply: Reply) -> PlatformError:
    return PlatformError(
        f"{name}: {reply.refusal if reply.unreachable else reply.message}",
        where=name,
        next=f"platformctl status -i {fleet.inventory}; then the same command again",
        code=ExitCode.UNREACHABLE if reply.unreachable else ExitCode.FAILED,
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
