"""How each back end handles every field of a pod template: the table for checks and documentation.

Paths are relative to `spec.template`; `[]` stands for any item of a list. A field that is not in the table is
refused with its path, so nothing that a user writes is silently ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from platformctl.jobs.model import BACKENDS, Target


class Handling(StrEnum):
    """mapped: the back end has the same field. emulated: the router does the same in another way. refused."""

    MAPPED = "mapped"
    EMULATED = "emulated"
    REFUSED = "refused"


@dataclass(frozen=True)
class Field:
    """One row: the path, its handling on each back end, how or why, and values that ask for nothing.

    harmless: values that tools write into manifests and that ask for nothing. They are accepted even if the
    field is refused.
    """

    path: str
    kubernetes: Handling
    slurm: Handling
    note: str
    harmless: tuple[Any, ...] = ()

    @property
    def handlings(self) -> Mapping[Target, Handling]:
        """The handling by each back end, from the columns named like the targets."""
        return {target: getattr(self, target) for target in BACKENDS}


M, E, R = Handling.MAPPED, Handling.EMULATED, Handling.REFUSED
_USERS = "the site decides: jobs run as their submitter"
_KEPT = "kept on the Job: on a pod they could join services or steer the network"
_HOST = "jobs are kept apart from the host"
_RETRY = "an attempt runs once: use retries of the Job"
_CLASS = "use priorityClassName of the Job"
_ANYWAY = "jobs have it anyway"
_ONE = "a job is one container"
_SECRETS = "only values written in env"
_STORAGE = "only emptyDir volumes, on Kubernetes"
_PLACEMENT = "the router chooses the place: use target, queue, nodes and tasks"

FIELDS: tuple[Field, ...] = (
    Field("metadata.name", R, R, "names come from the Job"),
    Field("metadata.labels", E, E, _KEPT),
    Field("metadata.annotations", E, E, _KEPT),
    Field("metadata.creationTimestamp", R, R, "set by the API server", (None,)),
    Field("spec.containers", M, M, "exactly one"),
    Field("spec.restartPolicy", M, M, "only Never: " + _RETRY),
    Field("spec.nodeSelector", M, R, "Slurm has no node labels: use queue"),
    Field("spec.terminationGracePeriodSeconds", M, R, "Slurm has KillWait for all jobs", (30,)),
    Field("spec.volumes", M, R, _STORAGE),
    Field("spec.volumes[].name", M, R, _STORAGE),
    Field("spec.volumes[].emptyDir", M, R, "without medium and sizeLimit"),
    Field("spec.initContainers", R, R, _ONE, ([],)),
    Field("spec.ephemeralContainers", R, R, _ONE, ([],)),
    Field("spec.activeDeadlineSeconds", R, R, "use walltime"),
    Field("spec.serviceAccountName", R, R, _USERS, ("default", "")),
    Field("spec.serviceAccount", R, R, _USERS, ("default", "")),
    Field("spec.automountServiceAccountToken", R, R, "jobs get no API token", (False,)),
    Field("spec.securityContext", M, M, "only what jobs have anyway"),
    Field("spec.securityContext.runAsNonRoot", R, R, _ANYWAY, (True,)),
    Field("spec.securityContext.seccompProfile", R, R, _ANYWAY, ({"type": "RuntimeDefault"},)),
    Field("spec.securityContext.runAsUser", R, R, _USERS),
    Field("spec.securityContext.runAsGroup", R, R, _USERS),
    Field("spec.securityContext.fsGroup", R, R, _USERS),
    Field("spec.securityContext.fsGroupChangePolicy", R, R, _USERS, ("Always", "OnRootMismatch")),
    Field("spec.securityContext.supplementalGroups", R, R, _USERS, ([],)),
    Field("spec.securityContext.supplementalGroupsPolicy", R, R, _USERS, ("Merge",)),
    Field("spec.securityContext.appArmorProfile", R, R, _HOST),
    Field("spec.securityContext.seLinuxOptions", R, R, _HOST, ({},)),
    Field("spec.securityContext.seLinuxChangePolicy", R, R, _HOST),
    Field("spec.securityContext.sysctls", R, R, _HOST, ([],)),
    Field("spec.securityContext.windowsOptions", R, R, "all nodes run Linux"),
    Field("spec.hostNetwork", R, R, _HOST, (False,)),
    Field("spec.hostPID", R, R, _HOST, (False,)),
    Field("spec.hostIPC", R, R, _HOST, (False,)),
    Field("spec.hostUsers", R, R, _HOST, (True,)),
    Field("spec.shareProcessNamespace", R, R, _ONE, (False,)),
    Field("spec.hostname", R, R, _PLACEMENT),
    Field("spec.hostnameOverride", R, R, _PLACEMENT),
    Field("spec.setHostnameAsFQDN", R, R, _PLACEMENT, (False,)),
    Field("spec.subdomain", R, R, _PLACEMENT),
    Field("spec.hostAliases", R, R, _HOST),
    Field("spec.dnsPolicy", R, R, "the site's DNS is used", ("ClusterFirst",)),
    Field("spec.dnsConfig", R, R, "the site's DNS is used"),
    Field("spec.nodeName", R, R, _PLACEMENT),
    Field("spec.affinity", R, R, _PLACEMENT, ({},)),
    Field("spec.tolerations", R, R, _PLACEMENT, ([],)),
    Field("spec.topologySpreadConstraints", R, R, _PLACEMENT, ([],)),
    Field("spec.schedulerName", R, R, _PLACEMENT, ("default-scheduler",)),
    Field("spec.schedulingGates", R, R, _PLACEMENT, ([],)),
    Field("spec.schedulingGroup", R, R, _PLACEMENT),
    Field("spec.workloadRef", R, R, _PLACEMENT),
    Field("spec.priorityClassName", R, R, _CLASS),
    Field("spec.priority", R, R, _CLASS),
    Field("spec.preemptionPolicy", R, R, _CLASS),
    Field("spec.imagePullSecrets", R, R, "images come from the site's registry", ([],)),
    Field("spec.runtimeClassName", R, R, "the site's runtime is used"),
    Field("spec.overhead", R, R, "set by the API server"),
    Field("spec.os", R, R, "all nodes run Linux", ({"name": "linux"},)),
    Field("spec.enableServiceLinks", R, R, "jobs do not see service variables", (False, True)),
    Field("spec.readinessGates", R, R, "jobs are not services"),
    Field("spec.evictionResponders", R, R, "the site decides about evictions"),
    Field("spec.resourceClaims", R, R, "ask for devices in resources.limits"),
    Field("spec.resources", R, R, "ask in the container's resources"),
    Field("spec.containers[].name", M, E, "kept on the Job"),
    Field("spec.containers[].image", M, M, "on Slurm run by the site's container runner"),
    Field("spec.containers[].command", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].args", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].env", M, M, "values are never interpreted by a shell"),
    Field("spec.containers[].env[].name", M, M, "letters, digits and underscore"),
    Field("spec.containers[].env[].value", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].env[].valueFrom", R, R, _SECRETS),
    Field("spec.containers[].envFrom", R, R, _SECRETS, ([],)),
    Field("spec.containers[].resources", M, M, "cpu, memory and nvidia.com/gpu"),
    Field("spec.containers[].resources.limits", M, M, "Slurm reserves the larger of limit and request"),
    Field("spec.containers[].resources.requests", M, M, "Slurm reserves the larger of limit and request"),
    Field("spec.containers[].resources.claims", R, R, "ask for devices in resources.limits"),
    Field("spec.containers[].workingDir", M, R, "on Slurm jobs start in the submitter's home"),
    Field("spec.containers[].imagePullPolicy", M, E, "on Slurm the site's registry is always asked"),
    Field("spec.containers[].volumeMounts", M, R, _STORAGE),
    Field("spec.containers[].volumeMounts[].name", M, R, _STORAGE),
    Field("spec.containers[].volumeMounts[].mountPath", M, R, _STORAGE),
    Field("spec.containers[].volumeDevices", R, R, _STORAGE),
    Field("spec.containers[].ports", R, R, "jobs are not services", ([],)),
    Field("spec.containers[].livenessProbe", R, R, "jobs are not services"),
    Field("spec.containers[].readinessProbe", R, R, "jobs are not services"),
    Field("spec.containers[].startupProbe", R, R, "jobs are not services"),
    Field("spec.containers[].lifecycle", R, R, "jobs are not services"),
    Field("spec.containers[].securityContext", M, M, "only what jobs have anyway"),
    Field("spec.containers[].securityContext.allowPrivilegeEscalation", R, R, _ANYWAY, (False,)),
    Field("spec.containers[].securityContext.capabilities", R, R, _ANYWAY, ({"drop": ["ALL"]}, {})),
    Field("spec.containers[].securityContext.privileged", R, R, _HOST, (False,)),
    Field("spec.containers[].securityContext.procMount", R, R, _HOST, ("Default",)),
    Field("spec.containers[].securityContext.readOnlyRootFilesystem", R, R, "jobs may write there", (False,)),
    Field("spec.containers[].securityContext.runAsNonRoot", R, R, _ANYWAY, (True,)),
    Field("spec.containers[].securityContext.runAsUser", R, R, _USERS),
    Field("spec.containers[].securityContext.runAsGroup", R, R, _USERS),
    Field("spec.containers[].securityContext.appArmorProfile", R, R, _HOST),
    Field("spec.containers[].securityContext.seLinuxOptions", R, R, _HOST, ({},)),
    Field("spec.containers[].securityContext.seccompProfile", R, R, _ANYWAY, ({"type": "RuntimeDefault"},)),
    Field("spec.containers[].securityContext.windowsOptions", R, R, "all nodes run Linux"),
    Field("spec.containers[].restartPolicy", R, R, _RETRY),
    Field("spec.containers[].restartPolicyRules", R, R, _RETRY),
    Field("spec.containers[].resizePolicy", R, R, "a job keeps what it asked for"),
    Field(
        "spec.containers[].stdin", R, R, "batch jobs have no terminal: use interactive of the Job", (False,)
    ),
    Field(
        "spec.containers[].stdinOnce",
        R,
        R,
        "batch jobs have no terminal: use interactive of the Job",
        (False,),
    ),
    Field("spec.containers[].tty", R, R, "batch jobs have no terminal: use interactive of the Job", (False,)),
    Field("spec.containers[].terminationMessagePath", R, R, "read the output", ("/dev/termination-log",)),
    Field("spec.containers[].terminationMessagePolicy", R, R, "read the output", ("File",)),
)

BY_PATH = {row.path: row for row in FIELDS}


def markdown_table() -> str:
    """The table for the documentation."""
    head = "| spec.template | Kubernetes | Slurm | |\n|---|---|---|---|\n"
    rows = (f"| `{row.path}` | {row.kubernetes} | {row.slurm} | {row.note} |" for row in FIELDS)
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown_table(), end="")  # noqa: T201  (what the documentation is made with)
