"""How each back end handles every field of a pod template: the table for checks and documentation.

Paths are relative to `spec.template`; `[]` stands for any item of a list. A field that is not in the table is
refused with its path, so nothing that a user writes is silently ignored. The rows of `spec.containers[]` hold
for the containers of `spec.initContainers` too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from platformctl.jobs.model import BACKENDS, Target


class Handling(StrEnum):
    """mapped: the back end has the same field. emulated: the router does the same in another way.

    dropped: the field is a wish that the back end does not have; the Job runs without it, and its status says
    so. refused.
    """

    MAPPED = "mapped"
    EMULATED = "emulated"
    DROPPED = "dropped"
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


M, E, D, R = Handling.MAPPED, Handling.EMULATED, Handling.DROPPED, Handling.REFUSED
_OWN_ID = "only the submitter's own: jobs run as their submitter"
_KEPT = "kept on the Job: on a pod they could join services or steer the network"
_HOST = "jobs are kept apart from the host; leave it out"
_RETRY = "an attempt runs once: use retries of the Job"
_CLASS = "use priorityClassName of the Job"
_ANYWAY = "jobs have it anyway; leave it out"
_ALONE = "on Slurm a job has one container: start the others from a script, or use target: kubernetes"
_READABLE = "an object that the submitter may read"
_SECRETS = "on Slurm only where the site keeps the environments of jobs from everybody else"
_SITE = "the site decides; leave it out"
_NETWORK = "on Slurm jobs have the node's network: use target: kubernetes"
_OPERATION = "on Slurm nobody watches a container: use target: kubernetes"
_DISK = (
    "on Slurm: only emptyDir, ConfigMaps and the pod's own fields, and claims that the site maps to a folder"
)
_TERMINAL = "on Slurm a batch job has no terminal and reads an empty input"
_DEVICES = "ask for devices in resources.limits"

FIELDS: tuple[Field, ...] = (
    Field("metadata.name", E, E, "ignored, as in batch/v1: names come from the Job"),
    Field("metadata.namespace", E, E, "ignored, as in batch/v1: the namespace is the Job's"),
    Field("metadata.labels", E, E, _KEPT),
    Field("metadata.annotations", E, E, _KEPT),
    Field("metadata.creationTimestamp", R, R, "set by the API server; leave it out", (None,)),
    Field("spec.containers", M, M, "on Slurm exactly one"),
    Field(
        "spec.restartPolicy", E, E, "Never, or OnFailure: then the Job is tried again as backoffLimit says"
    ),
    Field("spec.nodeSelector", M, E, "on Slurm by features, if the site maps the labels to some"),
    Field(
        "spec.terminationGracePeriodSeconds",
        M,
        E,
        "on Slurm at most 30, which is Slurm's own KillWait for all jobs",
        (30,),
    ),
    Field("spec.volumes", M, E, "of the kinds below"),
    Field("spec.volumes[].name", M, E, "lower-case letters, digits and '-'"),
    Field("spec.volumes[].emptyDir", M, E, "on Slurm a folder of the job, with medium Memory in /dev/shm"),
    Field("spec.volumes[].configMap", M, E, _READABLE),
    Field("spec.volumes[].secret", M, E, f"{_READABLE}; {_SECRETS}"),
    Field("spec.volumes[].downwardAPI", M, E, "on Slurm the names, labels and annotations, and the index"),
    Field(
        "spec.volumes[].projected", M, E, "of ConfigMaps, Secrets and the pod's own fields, without tokens"
    ),
    Field("spec.volumes[].persistentVolumeClaim", M, E, f"{_READABLE}; {_DISK}"),
    Field("spec.volumes[].ephemeral", M, R, f"a new volume for each pod; {_DISK}"),
    Field("spec.volumes[].image", M, R, "on Slurm: copy the files in an init container of that image"),
    Field("spec.volumes[].csi", M, R, f"of a driver that the site allows; {_DISK}"),
    Field("spec.initContainers", M, E, "run in order before the others"),
    Field("spec.ephemeralContainers", R, R, "only for debugging; leave it out", ([],)),
    Field("spec.activeDeadlineSeconds", E, E, "the same as walltime of the Job"),
    Field(
        "spec.serviceAccountName",
        M,
        R,
        "one that the site allows to Jobs; on Slurm there is no API token: use target: kubernetes",
        ("default", ""),
    ),
    Field(
        "spec.serviceAccount",
        M,
        R,
        "the older name of serviceAccountName; on Slurm there is no API token",
        ("default", ""),
    ),
    Field("spec.automountServiceAccountToken", M, R, "only with an allowed service account", (False,)),
    Field("spec.securityContext", M, M, "what jobs have anyway, or less"),
    Field("spec.securityContext.runAsNonRoot", R, R, _ANYWAY, (True,)),
    Field("spec.securityContext.seccompProfile", E, E, "only RuntimeDefault, which jobs have anyway"),
    Field("spec.securityContext.runAsUser", E, E, _OWN_ID),
    Field("spec.securityContext.runAsGroup", E, E, _OWN_ID),
    Field("spec.securityContext.fsGroup", E, E, _OWN_ID),
    Field(
        "spec.securityContext.fsGroupChangePolicy", M, D, "on Slurm folders belong to the submitter anyway"
    ),
    Field("spec.securityContext.supplementalGroups", E, E, f"{_OWN_ID}, with all their groups", ([],)),
    Field("spec.securityContext.supplementalGroupsPolicy", E, E, "the site's groups alone where it can be"),
    Field("spec.securityContext.appArmorProfile", M, D, "only RuntimeDefault"),
    Field("spec.securityContext.seLinuxOptions", R, R, _HOST, ({},)),
    Field("spec.securityContext.seLinuxChangePolicy", R, R, _HOST),
    Field("spec.securityContext.sysctls", R, R, _HOST, ([],)),
    Field("spec.securityContext.windowsOptions", R, R, "all nodes run Linux; leave it out"),
    Field("spec.hostNetwork", R, R, _HOST, (False,)),
    Field("spec.hostPID", R, R, _HOST, (False,)),
    Field("spec.hostIPC", R, R, _HOST, (False,)),
    Field("spec.hostUsers", R, R, _HOST, (True,)),
    Field("spec.shareProcessNamespace", M, R, _ALONE, (False,)),
    Field("spec.hostname", M, R, _NETWORK),
    Field("spec.hostnameOverride", R, R, "use hostname"),
    Field("spec.setHostnameAsFQDN", M, R, _NETWORK, (False,)),
    Field("spec.subdomain", M, R, _NETWORK),
    Field("spec.hostAliases", M, R, _NETWORK, ([],)),
    Field("spec.dnsPolicy", M, R, _NETWORK, ("ClusterFirst",)),
    Field("spec.dnsConfig", M, R, _NETWORK, ({},)),
    Field("spec.nodeName", R, R, "use nodeSelector: the scheduler keeps account of the nodes"),
    Field(
        "spec.affinity",
        M,
        E,
        "on Slurm: labels of nodes, as for nodeSelector; preferences are dropped",
        ({},),
    ),
    Field("spec.tolerations", M, D, "on Slurm no node is tainted", ([],)),
    Field("spec.topologySpreadConstraints", M, R, "on Slurm: use nodes and tasksPerNode", ([],)),
    Field("spec.schedulerName", R, R, _SITE, ("default-scheduler",)),
    Field("spec.schedulingGates", R, R, "use suspend of the Job", ([],)),
    Field("spec.schedulingGroup", R, R, "use tasks of the Job, which start together"),
    Field("spec.workloadRef", R, R, "use tasks of the Job, which start together"),
    Field("spec.priorityClassName", E, E, "the same as priorityClassName of the Job"),
    Field("spec.priority", R, R, _CLASS),
    Field("spec.preemptionPolicy", R, R, _CLASS, ("PreemptLowerPriority",)),
    Field(
        "spec.imagePullSecrets", M, D, f"{_READABLE}; on Slurm images come from the site's registry", ([],)
    ),
    Field("spec.runtimeClassName", M, R, "one that the site has, such as gVisor; Slurm has none"),
    Field("spec.overhead", R, R, "set by the API server; leave it out"),
    Field("spec.os", R, R, "all nodes run Linux; leave it out", ({"name": "linux"},)),
    Field("spec.enableServiceLinks", R, R, "jobs do not see service variables", (False, True)),
    Field("spec.readinessGates", R, R, "jobs are not services; leave it out", ([],)),
    Field("spec.evictionResponders", R, R, _SITE),
    Field("spec.resourceClaims", R, R, _DEVICES, ([],)),
    Field("spec.resources", R, R, "ask in the containers' resources", ({},)),
    Field("spec.containers[].name", M, E, "kept on the Job"),
    Field("spec.containers[].image", M, M, "on Slurm run by the site's container runner"),
    Field("spec.containers[].command", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].args", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].env", M, M, "values are never interpreted by a shell"),
    Field("spec.containers[].env[].name", M, M, "letters, digits and underscore"),
    Field("spec.containers[].env[].value", M, M, "$(NAME) is expanded on both"),
    Field("spec.containers[].env[].valueFrom", M, E, "of the kinds below"),
    Field("spec.containers[].env[].valueFrom.configMapKeyRef", M, E, _READABLE),
    Field("spec.containers[].env[].valueFrom.secretKeyRef", M, E, f"{_READABLE}; {_SECRETS}"),
    Field(
        "spec.containers[].env[].valueFrom.fieldRef", M, E, "on Slurm the names, labels, annotations and node"
    ),
    Field("spec.containers[].env[].valueFrom.resourceFieldRef", M, E, "requests and limits of the container"),
    Field("spec.containers[].env[].valueFrom.fileKeyRef", R, R, "read the file in the program"),
    Field("spec.containers[].envFrom", M, E, "of the kinds below", ([],)),
    Field("spec.containers[].envFrom[].prefix", M, E, "letters, digits and underscore"),
    Field("spec.containers[].envFrom[].configMapRef", M, E, _READABLE),
    Field("spec.containers[].envFrom[].secretRef", M, E, f"{_READABLE}; {_SECRETS}"),
    Field("spec.containers[].resources", M, M, "cpu, memory and devices"),
    Field("spec.containers[].resources.limits", M, M, "Slurm reserves the larger of limit and request"),
    Field("spec.containers[].resources.requests", M, M, "Slurm reserves the larger of limit and request"),
    Field("spec.containers[].resources.claims", R, R, _DEVICES),
    Field("spec.containers[].workingDir", M, E, "otherwise the image's folder"),
    Field("spec.containers[].imagePullPolicy", M, E, "on Slurm the site's registry is always asked"),
    Field("spec.containers[].volumeMounts", M, E, "of the volumes above"),
    Field("spec.containers[].volumeMounts[].name", M, E, "the name of a volume"),
    Field("spec.containers[].volumeMounts[].mountPath", M, E, "an absolute path without ':'"),
    Field("spec.containers[].volumeMounts[].readOnly", M, E, "as far as Slurm's container runtime can"),
    Field("spec.containers[].volumeMounts[].recursiveReadOnly", M, D, "as the runtime can", ("Disabled",)),
    Field("spec.containers[].volumeMounts[].subPath", M, E, "a relative path without '..'"),
    Field("spec.containers[].volumeMounts[].subPathExpr", M, R, "on Slurm: use subPath"),
    Field("spec.containers[].volumeMounts[].mountPropagation", R, R, _HOST, ("None",)),
    Field("spec.containers[].volumeDevices", R, R, "jobs see file systems; use volumeMounts", ([],)),
    Field("spec.containers[].ports", M, D, "without hostPort; on Slurm jobs have the node's network", ([],)),
    Field("spec.containers[].livenessProbe", M, R, _OPERATION),
    Field("spec.containers[].readinessProbe", M, D, "on Slurm no service asks whether a job is ready"),
    Field("spec.containers[].startupProbe", M, R, _OPERATION),
    Field("spec.containers[].lifecycle", M, R, _OPERATION, ({},)),
    Field("spec.containers[].securityContext", M, M, "what jobs have anyway, or less"),
    Field("spec.containers[].securityContext.allowPrivilegeEscalation", R, R, _ANYWAY, (False,)),
    Field("spec.containers[].securityContext.capabilities", E, E, "all are dropped anyway, none is added"),
    Field("spec.containers[].securityContext.privileged", R, R, _HOST, (False,)),
    Field("spec.containers[].securityContext.procMount", R, R, _HOST, ("Default",)),
    Field("spec.containers[].securityContext.readOnlyRootFilesystem", M, D, "on Slurm a job may write there"),
    Field("spec.containers[].securityContext.runAsNonRoot", R, R, _ANYWAY, (True,)),
    Field("spec.containers[].securityContext.runAsUser", E, E, _OWN_ID),
    Field("spec.containers[].securityContext.runAsGroup", E, E, _OWN_ID),
    Field("spec.containers[].securityContext.appArmorProfile", M, D, "only RuntimeDefault"),
    Field("spec.containers[].securityContext.seLinuxOptions", R, R, _HOST, ({},)),
    Field("spec.containers[].securityContext.seccompProfile", E, E, "only RuntimeDefault"),
    Field("spec.containers[].securityContext.windowsOptions", R, R, "all nodes run Linux; leave it out"),
    Field("spec.containers[].restartPolicy", M, R, f"Always, for an init container that goes on; {_ALONE}"),
    Field("spec.containers[].restartPolicyRules", R, R, _RETRY, ([],)),
    Field("spec.containers[].resizePolicy", M, D, "on Slurm a job keeps what it asked for", ([],)),
    Field("spec.containers[].stdin", M, D, _TERMINAL, (False,)),
    Field("spec.containers[].stdinOnce", M, D, _TERMINAL, (False,)),
    Field("spec.containers[].tty", M, D, _TERMINAL, (False,)),
    Field("spec.containers[].terminationMessagePath", M, D, "on Slurm: read the output"),
    Field("spec.containers[].terminationMessagePolicy", M, D, "on Slurm: read the output"),
)

BY_PATH = {row.path: row for row in FIELDS}


def markdown_table() -> str:
    """The table for the documentation."""
    head = "| spec.template | Kubernetes | Slurm | |\n|---|---|---|---|\n"
    rows = (f"| `{row.path}` | {row.kubernetes} | {row.slurm} | {row.note} |" for row in FIELDS)
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown_table(), end="")  # noqa: T201  (what the documentation is made with)
