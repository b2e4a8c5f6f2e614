"""Proves that a site works: its health checks, a pod, a batch job, and a Job to each scheduler, as a user."""

import asyncio
import json
import shlex
import time
from collections.abc import Iterable

from platformctl.engine import remote
from platformctl.engine.checking import proofs
from platformctl.engine.checking.job_proofs import prove_jobs, targets
from platformctl.engine.checking.proof import Proof
from platformctl.engine.checking.proofs import Wanted, waiting
from platformctl.engine.checking.proofs.common import user as first_user
from platformctl.engine.checking.proofs.health_check import Answer, Place
from platformctl.engine.checking.proofs.waiting import Say, Verdict
from platformctl.engine.cluster import access
from platformctl.engine.cluster.access import Kubectl
from platformctl.engine.fleet import Connection, Fleet

_SECONDS = 120
_IMAGE = "docker.io/library/debian:13"
# Right after an installation, services in the cluster may still move.
_CLUSTER_PATIENCE, _HOST_PATIENCE = 60, 10
_MOST_ROWS = 10


async def verify(fleet: Fleet, say: Say = lambda _bad, _seconds: None) -> list[Proof]:
    """Ask all health checks and run the smoke jobs of the schedulers that the site has, at the same time.

    The Jobs come last, when the services that run them are there. On a site without users nobody can submit a
    job: such jobs are skipped, and the results say so. say: told what is waited for.
    """
    user = first_user(fleet)
    jobs = []
    skipped: list[Proof] = []
    async with access.kubectl(fleet) as kubectl:
        if kubectl:
            pod = json.dumps(_pod(f"platformctl-verify-{time.time_ns()}"))
            jobs.append(_prove("pod", kubectl.connection, kubectl.where, _pod_script(kubectl), pod))
        if (controller := fleet.first("slurm_controller")) and fleet.members("slurm_node"):
            if user:
                script = _batch_script(user, bool(fleet.members("registry")))
                jobs.append(_prove("sbatch", controller.connection, controller.name, script))
            else:
                skipped.append(_skipped("sbatch"))
        health, found = await asyncio.gather(_health(fleet, say), asyncio.gather(*jobs))
    rows = [*health, *found]
    if fleet.has_cluster:
        if user:
            rows += await prove_jobs(fleet, user)
        else:
            skipped += [_skipped(f"Job to {target}") for target in targets(fleet)]
    return rows + skipped


async def _health(fleet: Fleet, say: Say) -> list[Proof]:
    """All health checks: a row for each that is fine, and one for each host on which it is not."""
    started = time.monotonic()
    verdict = await waiting.settle(fleet, proofs.all_of(fleet), say=say, patience=_patience)
    return health_rows(verdict, round(time.monotonic() - started, 1))


def _patience(each: Wanted) -> float:
    longest = _CLUSTER_PATIENCE if each.check.place is Place.KUBERNETES else _HOST_PATIENCE
    return min(each.check.patience, longest)


def health_rows(verdict: Verdict, seconds: float) -> list[Proof]:
    """The answers to health checks as results, by check in the order of the stages."""
    rows = [Proof("ssh", False, f"{host} {reply.refusal}", seconds) for host, reply in verdict.down.items()]
    by_name: dict[str, list[Answer]] = {}
    for answer in verdict.answers:
        by_name.setdefault(answer.check.name, []).append(answer)
    for name, answers in by_name.items():
        bad = [answer for answer in answers if not answer.outcome.fine]
        lines = dict.fromkeys(_line(answer) for answer in bad)
        rows += [Proof(name, False, line, seconds) for line in list(lines)[:_MOST_ROWS]]
        if len(lines) > _MOST_ROWS:
            rows.append(Proof(name, False, f"and {len(lines) - _MOST_ROWS} more", seconds))
        if not bad:
            rows.append(_fine(name, answers, seconds))
    return rows


def _line(answer: Answer) -> str:
    look = f" (look at: {answer.check.look})" if answer.check.look else ""
    return (
        f"{answer.subject}: {answer.outcome.found}{look}" if answer.subject else answer.outcome.found + look
    )


def _fine(name: str, answers: Iterable[Answer], seconds: float) -> Proof:
    tried = {answer.subject: answer for answer in answers if not answer.outcome.skipped}
    if not tried:
        why = next(answer.outcome.found for answer in answers)
        return Proof(name, True, why, seconds, skipped=True)
    only = next(iter(tried.values())).outcome.found
    found = only if len(tried) == 1 and only else f"fine on {len(tried)} host{'s' * (len(tried) > 1)}"
    return Proof(name, True, found, seconds)


_POD_COMMAND = """
getent ahostsv4 kubernetes.default >/dev/null || { echo "no name resolves in a pod on $NODE"; exit 1; }
echo "a pod ran on $NODE"
"""


async def _prove(name: str, connection: Connection, where: str, script: str, data: str = "") -> Proof:
    started = time.monotonic()
    reply = await remote.run(connection, script, data, seconds=_SECONDS + 30)
    output = reply.out.strip() if reply.code == 0 else f"on {where}: {reply.message}"
    return Proof(name, reply.code == 0, output, round(time.monotonic() - started, 1))


def _pod(name: str) -> dict[str, object]:
    """A pod that the restricted Pod Security profile admits."""
    container = {
        "name": "verify",
        "image": _IMAGE,
        "command": ["sh", "-c", _POD_COMMAND],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "resources": {"limits": {"cpu": "100m", "memory": "32Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app.kubernetes.io/name": "platformctl-verify"},
        },
        "spec": {"restartPolicy": "Never", "securityContext": security, "containers": [container]},
    }


def _pod_script(kubectl: Kubectl) -> str:
    return f"""
{kubectl.function(seconds=20)}
pod=$(kubectl create -f - -o name) || exit 1
trap 'kubectl delete --wait=false "$pod" >/dev/null' EXIT
ended='.status.containerStatuses[0].state.terminated'
if kubectl wait --request-timeout=0 --timeout={_SECONDS}s --for=jsonpath="{{$ended.reason}}" "$pod" >/dev/null
then
  kubectl logs "$pod"
  [ "$(kubectl get "$pod" -o jsonpath="{{$ended.exitCode}}")" = 0 ]
else kubectl get "$pod" -o jsonpath='{{.status.conditions}}{{.status.containerStatuses}}' >&2; exit 1
fi
"""


def _batch_script(user: str, images: bool) -> str:
    """A job of a site user, in the shared home; what it printed is read back on the controller.

    images: whether it also runs a container.
    """
    container = f"platform-run-image {_IMAGE} -- true && " if images else ""
    job = f"""
cd || exit 1
usable=idle,mixed,allocated,completing,planned
if [ -z "$(sinfo --noheader --Node --states=$usable --format=%N)" ]; then
  echo "no node can run a job: $(sinfo --noheader --Node --format='%N is %T (%E)' | sort -u | head -n 5)" >&2
  exit 1
fi
file=.platformctl-verify-$$.out
trap 'rm -f "$file"' EXIT
timeout {_SECONDS} sbatch --quiet --wait --time=1 --output="$file" \\
  --wrap='{container}echo a job of {user} ran on $(hostname)'
code=$?
cat "$file" 2>/dev/null || squeue --user {user} --format='%i %T %R' >&2
exit $code
"""
    return f"runuser --login {shlex.quote(user)} --command {shlex.quote(job)}"


def _skipped(name: str) -> Proof:
    return Proof(name, True, "nobody can submit it: users_accounts has no present user", 0.0, skipped=True)
