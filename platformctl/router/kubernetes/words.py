"""Explains in plain words why pods do not run.

The scheduler's message is that of its FitError: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s)
had untolerated taint(s). preemption: ...`.
"""

import re
from typing import Any

_NORMAL = frozenset({"", "ContainerCreating", "PodInitializing"})
_IMAGES = {
    "ErrImagePull": "cannot be pulled",
    "ImagePullBackOff": "cannot be pulled",
    "InvalidImageName": "has no valid name",
    "ErrImageNeverPull": "is not on the node, and the job forbids to pull it",
    "RegistryUnavailable": "cannot be pulled: its registry does not answer",
}
_ENDINGS = {
    "": "ended with an error",
    "Error": "ended with an error",
    "DeadlineExceeded": "ran longer than its wall time",
    "Disrupted": "lost its node, or was preempted by a more urgent job",
    "Evicted": "was evicted from its node",
    "OOMKilled": "used more memory than it asked for",
    "ContainerCannotRun": "its command could not be started",
    "StartError": "its command could not be started",
}
_TURNED_DOWN = frozenset({"NodeAffinity", "UnexpectedAdmissionError", "TopologyAffinityError"})
_UNSCHEDULABLE = re.compile(
    r"\d+/(\d+) nodes are available: (.*?)\.?(?: (?:preemption|no new claims).*)?$", re.DOTALL
)
_CAUSE = re.compile(r"(?:^|, )(\d+) ((?:[^,{]|\{[^}]*\})*)")
# The causes as the scheduler's plugins word them; {0} is the number of nodes.
_CAUSES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Insufficient (\S+)", "{0} too little {1} free"),
        (r"node\(s\) had untolerated taint\(?s?\)? ?\{?([^:}]*).*", "{0} closed to jobs ({1})"),
        (r"node\(s\) didn't match Pod's node affinity/selector", "{0} without the labels that it asks for"),
        (r"node\(s\) were unschedulable", "{0} cordoned"),
        (r"Too many pods", "{0} as many pods as allowed"),
        (r"node\(s\) had volume node affinity conflict", "{0} without its volume"),
        (r"node\(s\) didn't have free ports.*", "{0} without the free ports that it asks for"),
    )
)
_HAVE = ("too little", "as many")
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>.*?), used: (?P<used>.*?), "
    r"limited: (?P<limited>[^\n]*)"
)
_POLICY = re.compile(r"violates PodSecurity \"([^\"]+)\": (.*)", re.DOTALL)


def failure_words(reason: str) -> str:
    """Why a pod failed. reason: of the pod or its container, or Disrupted."""
    return f"its node rejected it: {reason}" if turned_down(reason) else _ENDINGS.get(reason, reason)


def turned_down(reason: str) -> bool:
    """Whether a kubelet rejected a pod before it ran: the node became full or changed after scheduling."""
    return reason in _TURNED_DOWN or (reason.startswith("OutOf") and reason != "OutOfMemory")


def waiting_words(waiting: dict[str, Any], image: str) -> str:
    """Why a container waits, from its state; empty while it is only starting."""
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _NORMAL:
        return ""
    if reason in _IMAGES:
        return _trimmed(f"the image {image} {_IMAGES[reason]}{_cause_of_pull(message)}")
    return _trimmed(f"{reason}: {message}" if message else reason)


def scheduler_words(message: str) -> str:
    """Why the scheduler finds no node for a pod."""
    match = _UNSCHEDULABLE.match(message)
    if match is None:
        return _trimmed(f"waits for a node: {message}") if message else "waits for a node"
    causes = [_cause(count, text) for count, text in _CAUSE.findall(match[2])]
    of = f"none of {match[1]} nodes is free" if match[1] != "1" else "the one node is not free"
    return _trimmed(f"waits for a node: {of}: {', '.join(causes)}" if causes else f"waits for a node: {of}")


def refusal_words(message: str) -> str:
    """Why the API server rejects pods: a quota, a policy, or its own message."""
    quota = _QUOTA.search(message)
    if quota:
        requested, used, limited = (_amounts(quota[name]) for name in ("requested", "used", "limited"))
        parts = [
            f"{name} {amount} more with {used.get(name, '0')} of {limited.get(name, '?')} used"
            for name, amount in requested.items()
        ]
        return _trimmed(f"the quota {quota['name']} of its namespace is used up: {', '.join(parts)}")
    policy = _POLICY.search(message)
    if policy:
        return _trimmed(f"the namespace's security level {policy[1]} forbids its pods: {policy[2]}")
    return _trimmed(message.removeprefix("Error creating: "))


def _cause(count: str, text: str) -> str:
    for pattern, words in _CAUSES:
        match = pattern.fullmatch(text.strip())
        if match:
            verb = (
                ("has" if count == "1" else "have")
                if any(one in words for one in _HAVE)
                else ("is" if count == "1" else "are")
            )
            sentence = words.format(f"{count} {verb}", *(group.strip() for group in match.groups()))
            return sentence.removesuffix(" ()")
    return f"{count} {text.strip()}"


def _cause_of_pull(message: str) -> str:
    """The registry's answer, at the end of a chain of errors."""
    if "not found" in message or "manifest unknown" in message:
        return ": there is no such image"
    if "denied" in message or "unauthorized" in message:
        return ": the registry does not allow it"
    if "no such host" in message or "connection refused" in message or "timeout" in message:
        return ": its registry does not answer"
    return ""


def _amounts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _trimmed(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 400 else text[:397] + "..."
