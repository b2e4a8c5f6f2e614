"""What of a pod template only the site can allow: identities, service accounts and drivers of volumes."""

from platformctl.jobs.model import Identity, JobSpec, Policy, Refusal, User


def refusals(job: JobSpec, user: User, policy: Policy, namespace: str) -> list[Refusal]:
    """What the template names and the submitter may not have. namespace: the Job's."""
    found = [
        Refusal(identity.path, _not_yours(identity, user))
        for identity in job.pod.identities
        if not _own(identity, user) and identity.number in policy.ids
    ]
    account = job.pod.service_account
    if account is not None and f"{namespace}/{account}" not in policy.service_accounts:
        allowed = [name.partition("/")[2] for name in sorted(policy.service_accounts)]
        here = [name for name in allowed if f"{namespace}/{name}" in policy.service_accounts]
        there = f"Jobs in {namespace} may use {', '.join(here)}" if here else "leave it out, or ask the site"
        path = "spec.template.spec.serviceAccountName"
        found.append(Refusal(path, f"the site does not allow {account} to Jobs; {there}"))
    for number, volume in enumerate(job.pod.volumes):
        driver = str(volume.source.get("driver")) if volume.kind == "csi" else None
        if driver is not None and driver not in policy.csi_drivers:
            path = f"spec.template.spec.volumes[{number}].csi.driver"
            named = ", ".join(sorted(policy.csi_drivers))
            remedy = f"it allows {named}" if named else "use a persistentVolumeClaim"
            found.append(Refusal(path, f"the site does not allow {driver[:63]} to Jobs; {remedy}"))
    return found


def dropped(job: JobSpec, user: User) -> list[Refusal]:
    """Numbers that are nobody's at this site: the pod runs as its submitter, who is not root either."""
    return [
        Refusal(
            identity.path, f"has no effect: nobody here is {identity.number}; jobs run as their submitter"
        )
        for identity in job.pod.identities
        if not _own(identity, user)
    ]


def owned(number: object, user: User, of_a_user: bool) -> bool:
    """Whether a number is the user's own: the uid, or one of the gids."""
    return number == user.uid if of_a_user else number in (user.gid, *user.groups)


def _own(identity: Identity, user: User) -> bool:
    return owned(identity.number, user, identity.kind == "runAsUser")


def _not_yours(identity: Identity, user: User) -> str:
    own = str(user.uid) if identity.kind == "runAsUser" else " or ".join(map(str, (user.gid, *user.groups)))
    return f"must be your own, {own}, or left out: jobs run as their submitter"
