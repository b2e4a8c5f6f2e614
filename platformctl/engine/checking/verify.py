"""Proves that a site works: a pod, a batch job, and a Job to each scheduler, as a user would run them."""

import asyncio
import json
import shlex
import time

from platformctl.engine import remote
from platformctl.engine.checking.job_proofs import prove_jobs, targets
from platformctl.engine.checking.proof import Proof
from platformctl.engine.cluster import access
from platformctl.engine.cluster.access import Kubectl
from platformctl.engine.fleet import Connection, Fleet

_SECONDS = 120
_POD_IMAGE = "docker.io/library/debian:13"


async def verify(fleet: Fleet) -> list[Proof]:
    """Run the smoke jobs of the schedulers that the site has, at the same time.

    On a site without users nobody can submit a job: such jobs are skipped, and the results say so.
    """
    user = _user(fleet)
    jobs = []
    skipped: list[Proof] = []
    async with access.kubectl(fleet) as kubectl:
        if kubectl:
            pod = json.dumps(_pod(f"platformctl-verify-{time.time_ns()}"))
            jobs.append(_prove("pod", kubectl.connection, kubectl.where, _pod_script(kubectl), pod))
        if controller := fleet.first("slurm_controller"):
            if user:
                script = _batch_script(user)
                jobs.append(_prove("sbatch", controller.connection, controller.name, script))
            else:
                skipped.append(_skipped("sbatch"))
        proofs = list(await asyncio.gather(*jobs))
    if fleet.has_cluster:
        if user:
            proofs += await prove_jobs(fleet, user)
        else:
            skipped += [_skipped(f"Job to {target}") for target in targets(fleet)]
    return proofs + skipped


async def _prove(name: str, connection: Connection, where: str, script: str, data: str = "") -> Proof:
    started = time.monotonic()
    reply = await remote.run(connection, script, data, seconds=_SECONDS + 30)
    output = reply.out.strip() if reply.code == 0 else f"on {where}: {reply.message}"
    return Proof(name, reply.code == 0, output, round(time.monotonic() - started, 1))


def _pod(name: str) -> dict[str, object]:
    """A pod that the restricted Pod Security profile admits."""
    container = {
        "name": "verify",
        "image": _POD_IMAGE,
        "command": ["sh", "-c", "echo a pod ran on $NODE"],
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
if kubectl wait --request-timeout=0 --timeout={_SECONDS}s \\
     --for=jsonpath='{{.status.phase}}'=Succeeded "$pod" >/dev/null
then kubectl logs "$pod"
else kubectl get "$pod" -o jsonpath='{{.status.conditions}}{{.status.containerStatuses}}' >&2; exit 1
fi
"""


def _batch_script(user: str) -> str:
    """A job of a site user, in the shared home; what it printed is read back on the controller."""
    job = f"""
cd || exit 1
file=.platformctl-verify-$$.out
trap 'rm -f "$file"' EXIT
timeout {_SECONDS} sbatch --quiet --wait --time=1 --output="$file" \\
  --wrap='echo a job of {user} ran on $(hostname)'
code=$?
cat "$file" 2>/dev/null || squeue --user {user} --format='%i %T %R' >&2
exit $code
"""
    return f"runuser --login {shlex.quote(user)} --command {shlex.quote(job)}"


def _user(fleet: Fleet) -> str:
    """The first user that the site does not remove; empty if there is none."""
    accounts = fleet.variables.get("users_accounts") or []
    present = (str(account["name"]) for account in accounts if account.get("state") != "absent")
    return next(present, "")


def _skipped(name: str) -> Proof:
    return Proof(name, True, "nobody can submit it: users_accounts has no present user", 0.0, skipped=True)
