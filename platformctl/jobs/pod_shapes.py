"""The shapes of the parts of a pod template that Kubernetes gets as its user wrote them.

The names are those of Kubernetes' API reference for pods, version v1. What would reach other pods, other
users or the node is left out of a shape, or refused with a reason.
"""

import re
from typing import Any

from platformctl.jobs.reader import Reader
from platformctl.jobs.shapes import (
    KEY,
    LABEL,
    LABEL_KEY,
    LABELS,
    NAME,
    Shape,
    either,
    fields,
    flag,
    list_of,
    map_of,
    one_of,
    pattern,
    quantity,
    refused,
    text,
    whole,
)

_MODE = whole(0, 0o777)
_SECONDS = whole(0, 3600)
_DNS_LABEL = pattern(
    re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII), "lower-case letters, digits and '-'"
)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_PREFIX = pattern(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII), "letters, digits and '_'")
_ANNOTATIONS = map_of(LABEL_KEY, "the key of an annotation", text(262144))
_KEY_OF_A_LABEL = pattern(LABEL_KEY, "the key of a label")
# A file of a volume: relative, and nowhere above the volume.
_FILE = pattern(
    re.compile(r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f]{1,4096}", re.ASCII),
    "a relative path without '..'",
)

FIELD_PATH = pattern(
    re.compile(
        r"metadata\.(?:name|namespace|uid|labels|annotations)|metadata\.(?:labels|annotations)\['[^'\x00-\x1f]{1,317}'\]"
        r"|spec\.(?:nodeName|serviceAccountName)|status\.(?:hostIPs?|podIPs?)",
        re.ASCII,
    ),
    "a field of the pod such as metadata.name, metadata.labels['app'], spec.nodeName or status.podIP",
)
FIELD_REF = fields({"fieldPath": FIELD_PATH}, apiVersion=one_of("v1"))
RESOURCE_REF = fields({"resource": text(253)}, containerName=_DNS_LABEL, divisor=quantity)
KEY_REF = fields({"name": NAME, "key": KEY}, optional=flag)
ENV_FROM_REF = fields({"name": NAME}, optional=flag)
PREFIX = _PREFIX

_ITEMS = list_of(fields({"key": KEY, "path": _FILE}, mode=_MODE), 256)
_DOWNWARD_ITEMS = list_of(
    fields({"path": _FILE}, fieldRef=FIELD_REF, resourceFieldRef=RESOURCE_REF, mode=_MODE), 64
)
_NO_TOKEN = "jobs get no API token; name an allowed service account in serviceAccountName"  # noqa: S105

CONFIG_MAP_VOLUME = fields({"name": NAME}, items=_ITEMS, defaultMode=_MODE, optional=flag)
SECRET_VOLUME = fields({"secretName": NAME}, items=_ITEMS, defaultMode=_MODE, optional=flag)
DOWNWARD_VOLUME = fields(items=_DOWNWARD_ITEMS, defaultMode=_MODE)
PROJECTED_VOLUME = fields(
    defaultMode=_MODE,
    sources=list_of(
        fields(
            configMap=fields({"name": NAME}, items=_ITEMS, optional=flag),
            secret=fields({"name": NAME}, items=_ITEMS, optional=flag),
            downwardAPI=fields(items=_DOWNWARD_ITEMS),
            serviceAccountToken=refused(_NO_TOKEN),
            clusterTrustBundle=refused("put the certificates into a ConfigMap"),
            podCertificate=refused("jobs have no identity in the cluster; put a certificate into a Secret"),
        ),
        32,
    ),
)
CLAIM_VOLUME = fields({"claimName": NAME}, readOnly=flag)
_CLAIM_SPEC = fields(
    {
        "accessModes": list_of(
            one_of("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"), 4
        ),
        "resources": fields(
            {"requests": fields({"storage": quantity})},
            limits=fields(storage=quantity),
        ),
    },
    storageClassName=text(253),
    volumeMode=one_of("Filesystem"),
    volumeAttributesClassName=text(253),
    volumeName=refused("the volume would be another one's; name its claim in persistentVolumeClaim"),
    selector=refused("the volume would be another one's; name its claim in persistentVolumeClaim"),
    dataSource=refused("copy the data in an init container"),
    dataSourceRef=refused("copy the data in an init container"),
)
EPHEMERAL_VOLUME = fields(
    {
        "volumeClaimTemplate": fields(
            {"spec": _CLAIM_SPEC}, metadata=fields(labels=LABELS, annotations=_ANNOTATIONS)
        )
    }
)
IMAGE_VOLUME = fields({"reference": text(512)}, pullPolicy=one_of("Always", "IfNotPresent", "Never"))
CSI_VOLUME = fields(
    {"driver": text(63)},
    readOnly=flag,
    fsType=text(63),
    volumeAttributes=map_of(re.compile(r"[^\x00-\x1f]{1,253}", re.ASCII), "an attribute", text()),
    nodePublishSecretRef=fields({"name": NAME}),
)
EMPTY_DIR = fields(medium=one_of("", "Memory"), sizeLimit=quantity)

_EXPRESSIONS = list_of(
    fields(
        {"key": _KEY_OF_A_LABEL, "operator": one_of("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")},
        values=list_of(LABEL),
    )
)
_NODE_TERM = fields(
    matchExpressions=_EXPRESSIONS,
    matchFields=list_of(
        fields({"key": one_of("metadata.name"), "operator": one_of("In", "NotIn")}, values=list_of(text(253)))
    ),
)
SELECTOR = fields(
    matchLabels=LABELS,
    matchExpressions=list_of(
        fields(
            {"key": _KEY_OF_A_LABEL, "operator": one_of("In", "NotIn", "Exists", "DoesNotExist")},
            values=list_of(LABEL),
        )
    ),
)
_ELSEWHERE = "a Job is placed by its own pods alone; leave it out"
_POD_TERM = fields(
    {"topologyKey": _KEY_OF_A_LABEL},
    labelSelector=SELECTOR,
    namespaces=refused(_ELSEWHERE),
    namespaceSelector=refused(_ELSEWHERE),
    matchLabelKeys=refused(_ELSEWHERE),
    mismatchLabelKeys=refused(_ELSEWHERE),
)
_POD_RULES = fields(
    requiredDuringSchedulingIgnoredDuringExecution=list_of(_POD_TERM, 16),
    preferredDuringSchedulingIgnoredDuringExecution=list_of(
        fields({"weight": whole(1, 100), "podAffinityTerm": _POD_TERM}), 16
    ),
)
AFFINITY = fields(
    nodeAffinity=fields(
        requiredDuringSchedulingIgnoredDuringExecution=fields({"nodeSelectorTerms": list_of(_NODE_TERM, 16)}),
        preferredDuringSchedulingIgnoredDuringExecution=list_of(
            fields({"weight": whole(1, 100), "preference": _NODE_TERM}), 16
        ),
    ),
    podAffinity=_POD_RULES,
    podAntiAffinity=_POD_RULES,
)
TOLERATIONS = list_of(
    fields(
        key=_KEY_OF_A_LABEL,
        operator=one_of("Exists", "Equal"),
        value=LABEL,
        effect=one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
        tolerationSeconds=whole(0, 2**31 - 1),
    )
)
SPREAD = list_of(
    fields(
        {
            "maxSkew": whole(1, 10_000),
            "topologyKey": _KEY_OF_A_LABEL,
            "whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
            "labelSelector": SELECTOR,
        },
        minDomains=whole(1, 10_000),
        nodeAffinityPolicy=one_of("Honor", "Ignore"),
        nodeTaintsPolicy=one_of("Honor", "Ignore"),
        matchLabelKeys=refused(_ELSEWHERE),
    ),
    16,
)

_OTHER_HOST = "a probe reaches only its own container; leave it out"
_HEADERS = list_of(fields({"name": text(253), "value": text()}), 64)
_HTTP = fields(
    {"port": either(str, int)},
    path=text(),
    scheme=one_of("HTTP", "HTTPS"),
    httpHeaders=_HEADERS,
    host=refused(_OTHER_HOST),
)
_TCP = fields({"port": either(str, int)}, host=refused(_OTHER_HOST))
_EXEC = fields(command=list_of(text(131072), 1024))
PROBE = fields(
    exec=_EXEC,
    httpGet=_HTTP,
    tcpSocket=_TCP,
    grpc=fields({"port": whole(1, 65535)}, service=text(253)),
    initialDelaySeconds=whole(0, 2**31 - 1),
    periodSeconds=whole(1, 2**31 - 1),
    timeoutSeconds=whole(1, 2**31 - 1),
    successThreshold=whole(1, 1000),
    failureThreshold=whole(1, 2**31 - 1),
    terminationGracePeriodSeconds=whole(1, 3600),
)
_HOOK = fields(exec=_EXEC, httpGet=_HTTP, sleep=fields({"seconds": whole(0, 3600)}))
LIFECYCLE = fields(
    postStart=_HOOK,
    preStop=_HOOK,
    stopSignal=pattern(re.compile(r"SIG[A-Z0-9+-]{1,12}", re.ASCII), "a signal such as SIGINT"),
)
PORTS = list_of(
    fields(
        {"containerPort": whole(1, 65535)},
        name=pattern(re.compile(r"[a-z0-9-]{1,15}", re.ASCII), "lower-case letters, digits and '-'"),
        protocol=one_of("TCP", "UDP", "SCTP"),
        hostPort=refused("the node's ports are not for jobs; leave it out"),
        hostIP=refused("the node's addresses are not for jobs; leave it out"),
    )
)
HOST_ALIASES = list_of(fields({"ip": text(64)}, hostnames=list_of(text(253))), 256)
DNS_CONFIG = fields(
    nameservers=list_of(text(64), 3),
    searches=list_of(text(253), 32),
    options=list_of(fields(name=text(64), value=text(64)), 32),
)
PULL_SECRETS = list_of(fields({"name": NAME}), 16)


def number_of_somebody(reader: Reader, value: Any, path: str) -> None:
    """The number of a user or a group other than root."""
    known = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    if value is not None and not known:
        reader.refuse(
            path,
            "must be a whole number, and not 0: jobs run as their submitter, never as root; leave it out",
        )


ID = number_of_somebody
GROUPS = list_of(ID, 256)
SECCOMP = fields({"type": one_of("RuntimeDefault")})
APP_ARMOR = fields({"type": one_of("RuntimeDefault")})
CAPABILITIES = fields(
    drop=list_of(text(64)),
    add=refused("jobs have no privilege; leave it out"),
)
RESIZE = list_of(
    fields(
        {"resourceName": one_of("cpu", "memory"), "restartPolicy": one_of("NotRequired", "RestartContainer")}
    )
)

# By the path in the table of fields, for pod and container; the reader of templates reads the others itself.
SHAPES: dict[str, Shape] = {
    "metadata.labels": LABELS,
    "metadata.annotations": _ANNOTATIONS,
    "spec.affinity": AFFINITY,
    "spec.tolerations": TOLERATIONS,
    "spec.topologySpreadConstraints": SPREAD,
    "spec.hostAliases": HOST_ALIASES,
    "spec.dnsPolicy": one_of("ClusterFirst", "Default", "None"),
    "spec.dnsConfig": DNS_CONFIG,
    "spec.imagePullSecrets": PULL_SECRETS,
    "spec.runtimeClassName": _DNS_LABEL,
    "spec.hostname": _DNS_LABEL,
    "spec.subdomain": _DNS_LABEL,
    "spec.setHostnameAsFQDN": flag,
    "spec.shareProcessNamespace": flag,
    "spec.automountServiceAccountToken": flag,
    "spec.securityContext.runAsUser": ID,
    "spec.securityContext.runAsGroup": ID,
    "spec.securityContext.fsGroup": ID,
    "spec.securityContext.supplementalGroups": GROUPS,
    "spec.securityContext.supplementalGroupsPolicy": one_of("Merge", "Strict"),
    "spec.securityContext.fsGroupChangePolicy": one_of("Always", "OnRootMismatch"),
    "spec.securityContext.seccompProfile": SECCOMP,
    "spec.securityContext.appArmorProfile": APP_ARMOR,
    "spec.volumes[].emptyDir": EMPTY_DIR,
    "spec.volumes[].configMap": CONFIG_MAP_VOLUME,
    "spec.volumes[].secret": SECRET_VOLUME,
    "spec.volumes[].downwardAPI": DOWNWARD_VOLUME,
    "spec.volumes[].projected": PROJECTED_VOLUME,
    "spec.volumes[].persistentVolumeClaim": CLAIM_VOLUME,
    "spec.volumes[].ephemeral": EPHEMERAL_VOLUME,
    "spec.volumes[].image": IMAGE_VOLUME,
    "spec.volumes[].csi": CSI_VOLUME,
    "spec.containers[].livenessProbe": PROBE,
    "spec.containers[].readinessProbe": PROBE,
    "spec.containers[].startupProbe": PROBE,
    "spec.containers[].lifecycle": LIFECYCLE,
    "spec.containers[].ports": PORTS,
    "spec.containers[].resizePolicy": RESIZE,
    "spec.containers[].stdin": flag,
    "spec.containers[].stdinOnce": flag,
    "spec.containers[].tty": flag,
    "spec.containers[].terminationMessagePath": text(4096),
    "spec.containers[].terminationMessagePolicy": one_of("File", "FallbackToLogsOnError"),
    "spec.containers[].env[].valueFrom.configMapKeyRef": KEY_REF,
    "spec.containers[].env[].valueFrom.secretKeyRef": KEY_REF,
    "spec.containers[].env[].valueFrom.fieldRef": FIELD_REF,
    "spec.containers[].env[].valueFrom.resourceFieldRef": RESOURCE_REF,
    "spec.containers[].envFrom[].configMapRef": ENV_FROM_REF,
    "spec.containers[].envFrom[].secretRef": ENV_FROM_REF,
    "spec.containers[].envFrom[].prefix": PREFIX,
    "spec.containers[].securityContext.capabilities": CAPABILITIES,
    "spec.containers[].securityContext.runAsUser": ID,
    "spec.containers[].securityContext.runAsGroup": ID,
    "spec.containers[].securityContext.readOnlyRootFilesystem": flag,
    "spec.containers[].securityContext.seccompProfile": SECCOMP,
    "spec.containers[].securityContext.appArmorProfile": APP_ARMOR,
}
