"""Slurm's reasons why a job waits or failed, in plain words.

The names are those of slurm.h's enum job_state_reason as Slurm 24.11 writes them. Most say which limit of an
association (an account and a user) or of a QOS is reached: these are parsed word by word. The others are in a
table. sacctmgr(1) explains the limits.
"""

import re

WAITS: dict[str, str] = {
    "None": "",
    "AccountNotAllowed": "its account may not use the partition",
    "AccountingPolicy": "a limit of its account or QOS is reached",
    "AssociationJobLimit": "its account runs as many jobs as it may",
    "AssociationResourceLimit": "its account uses as much as it may",
    "AssociationTimeLimit": "its account has used up its time",
    "BadConstraints": "no node has the features that it asks for",
    "BeginTime": "waits for its start time",
    "BurstBufferOperation": "its burst buffer failed",
    "BurstBufferResources": "waits for room in the burst buffer",
    "BurstBufferStageIn": "its data is being copied into the burst buffer",
    "Cleaning": "its previous run is being cleaned up",
    "Constraints": "no node has the features that it asks for at the moment",
    "DeadLine": "cannot end before its deadline",
    "Dependency": "waits for another job",
    "DependencyNeverSatisfied": "waits for another job that can no longer end as it should",
    "FedJobLock": "waits for the other clusters of its federation",
    "FrontEndDown": "the front end nodes are down",
    "InactiveLimit": "was inactive for too long",
    "InvalidAccount": "its user has no right to the account",
    "InvalidQOS": "its user has no right to the QOS",
    "JobArrayTaskLimit": "as many elements of its array run as it allows at once",
    "JobHeldAdmin": "is held by an administrator",
    "JobHeldUser": "is held by its user",
    "JobHoldMaxRequeue": "is held because it was started again too often",
    "JobLaunchFailure": "could not be started on its node",
    "Licenses": "waits for licences",
    "MaxMemPerLimit": "asks for more memory than its partition allows",
    "MaxPoweredUpNodes": "as many nodes are powered up as the site allows",
    "MpiPortsBusy": "waits for free MPI ports",
    "NodeDown": "a node that it needs is down",
    "NonZeroExitCode": "ended with an error",
    "OutOfMemory": "used more memory than it asked for",
    "PartitionConfig": "asks for more than its partition allows",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is closed",
    "PartitionNodeLimit": "asks for more nodes than its partition allows, or than are up",
    "PartitionTimeLimit": "asks for more wall time than its partition allows",
    "Priority": "waits behind jobs of higher priority",
    "Prolog": "its nodes are being prepared",
    "QOSJobLimit": "its QOS runs as many jobs as it may",
    "QOSNotAllowed": "its QOS may not use the partition",
    "QOSResourceLimit": "its QOS uses as much as it may",
    "QOSTimeLimit": "its QOS has used up its time",
    "QOSUsageThreshold": "its account is used too much for its QOS",
    "RaisedSignal": "was ended by a signal",
    "ReqNodeNotAvail": "waits for nodes that are down, drained or reserved",
    "Reservation": "waits for its reservation",
    "ReservationDeleted": "its reservation is gone",
    "ReservationInvalid": "its reservation is not valid",
    "Resources": "waits for free resources",
    "SchedDefer": "waits to be scheduled with the next jobs",
    "SystemFailure": "Slurm failed",
    "TimeLimit": "ran longer than its wall time",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": (
        "waits for nodes that are down, drained or reserved"
    ),
}

# Limits without an owner in their name, such as MaxJobsPerAccount, belong to a QOS.
_OWNERS = {"Assoc": "its account", "QOS": "its QOS", "": "its QOS"}
_AMOUNTS = {
    "bb": "burst buffer",
    "billing": "billing units",
    "cpu": "CPUs",
    "energy": "energy",
    "gres": "GPUs or other devices",
    "jobs": "jobs",
    "license": "licences",
    "mem": "memory",
    "memory": "memory",
    "node": "nodes",
    "submitjob": "submitted jobs",
    "submitjobs": "submitted jobs",
    "unknown": "a resource of the site",
    "wall": "wall time",
    "wallduration": "wall time",
}
_LIMIT = re.compile(
    r"(?P<owner>Assoc|QOS|)(?P<kind>Grp|Max|Min)"
    rf"(?P<what>{'|'.join(sorted(_AMOUNTS, key=len, reverse=True))})"
    r"(?P<time>RunMins|RunMinutes|Minutes|)(?P<per>PerJob|PerNode|PerUser|PerAccount|)"
    r"(Limit|NotSatisfied|)",
    re.IGNORECASE,
)
_PER = {"perjob": "one job", "pernode": "one node", "peruser": "one user", "peraccount": "one account"}


def words(reason: str) -> str:
    """The reason in plain words; empty for none. An unknown reason is returned unchanged."""
    if reason in WAITS:
        return WAITS[reason]
    return limit_words(reason) or (f"waits: {reason}" if reason else "")


def limit_words(reason: str) -> str:
    """What a reason that names a limit means; empty for others."""
    match = _LIMIT.fullmatch(reason)
    if match is None:
        return ""
    owner = _OWNERS[match["owner"]]
    amount = _AMOUNTS[match["what"].lower()]
    per = _PER.get(match["per"].lower(), "")
    timed = match["time"].lower()
    if timed:
        amount = f"minutes of {amount}" + (" promised to running jobs" if timed.startswith("run") else "")
    if match["kind"].lower() == "min":
        return f"asks for too little of what {owner} requires: {amount}"
    if per in ("one job", "one node"):
        return f"asks for more {amount} for {per} than {owner} allows"
    if match["kind"].lower() == "max":
        who = "its account" if per == "one account" else "its user"
        return f"{who} has reached the limit that {owner} sets: {amount}"
    return f"{owner} as a whole has reached its limit: {amount}"
