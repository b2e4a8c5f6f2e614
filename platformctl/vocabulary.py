"""The words of the API: groups, paths, annotations, labels and phases, as users and the charts write them.

Every layer uses them, so this module lies outside the layers and imports nothing of ours. The charts write
the same words; a test compares both.
"""

from enum import StrEnum

GROUP, VERSION = "kfoundry.io", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
API = f"/apis/{API_VERSION}"
JOB_KIND, QUEUE_KIND = "Job", "Queue"
JOBS, QUEUES = f"{API}/jobs", f"{API}/queues"

LOGS_GROUP = f"logs.{GROUP}"
LOGS_API = f"/apis/{LOGS_GROUP}/{VERSION}"

# Stamped by admission: who created the Job.
SUBMITTER = f"{GROUP}/submitter"
# Set by a Job's user: "true"; the number of the attempt that failed; any new text.
CANCEL_REQUESTED = f"{GROUP}/cancel-requested"
RETRY_REQUESTED = f"{GROUP}/retry-requested"
EXPLAIN_REQUESTED = f"{GROUP}/explain-requested"
# Deletion waits for the router, which is also the value of spec.managedBy for Jobs that it manages.
FINALIZER = MANAGER = f"{GROUP}/router"

# On what the router makes in Kubernetes: whose it is, and the token of the attempt.
JOB_UID_LABEL = f"{GROUP}/job-uid"
TOKEN_ANNOTATION = f"{GROUP}/token"
# On a Job's pods: the text of /etc/passwd and /etc/group in its containers.
PASSWD_ANNOTATION, GROUP_ANNOTATION = f"{GROUP}/passwd", f"{GROUP}/group"
# On the RoleBindings that give users their rights in a namespace.
GRANT_LABEL = f"{GROUP}/grant"
# Admission lets a user enter pods whose names begin with this and the user's uid, and keeps the names for the
# router: RBAC knows no owner of a pod, and admission sees only the pod's name when somebody enters it.
ENTERABLE_PREFIX = "kfoundry-enter-"
# Names of containers and volumes that begin with this are the router's.
OWN_PREFIX = "kfoundry-"

# Of the chart's objects for users: the table of their numbers, whose an object is, the claims of homes, and
# how many Jobs a namespace holds.
USERS_TABLE = "kfoundry-users"
USER_LABEL = f"{GROUP}/user"
HOME_CLAIM_PREFIX = "kfoundry-home-"
JOBS_QUOTA = "kfoundry-jobs"

USERS_GROUP = "platform:users"
GPU = "nvidia.com/gpu"
# Labels of nodes that say which devices they have: DEVICE_LABELS/gpu-type is a100.
DEVICE_LABELS = "devices.platformctl.io"


class Phase(StrEnum):
    """Where a Job is. Succeeded, Failed, Cancelled and Refused are final."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REFUSED = "Refused"


FINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.REFUSED})


def job_path(namespace: str, name: str = "") -> str:
    """The API path of a Job, or of all Jobs of a namespace."""
    return _path(API, namespace, name)


def log_path(namespace: str, name: str) -> str:
    """The API path of a Job's output."""
    return f"{_path(LOGS_API, namespace, name)}/log"


def _path(api: str, namespace: str, name: str) -> str:
    base = f"{api}/namespaces/{namespace}/jobs"
    return f"{base}/{name}" if name else base
