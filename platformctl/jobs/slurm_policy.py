"""What the site forbids, forces and allows of `spec.slurm`; every refusal gives the site's reason."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from platformctl.jobs.model import JobSpec, Refusal, SlurmPolicy, User
from platformctl.jobs.slurm_block import PATH, WHOLE_JOB
from platformctl.jobs.slurm_environment import plugin_variable
from platformctl.jobs.staging import absolute


def refused(job: JobSpec, user: User, policy: SlurmPolicy) -> list[Refusal]:
    """The fields that the site does not allow for this user."""
    return [
        *_forbidden(job, policy),
        *_other_values(job, policy),
        *_folder(job, user, policy),
        *_plugins(job, policy),
    ]


def applied(job: JobSpec, policy: SlurmPolicy) -> JobSpec:
    """The job with the values that the site forces, and with the variables that slurmd's plugins read."""
    forced = {name: value for name, (value, _) in policy.forced.items()}
    block: dict[str, Any] = {**job.slurm, **forced}
    plugins = block.get("plugins", {})
    if plugins:
        variables = {plugin_variable(policy.plugins[name], name): text for name, text in plugins.items()}
        block["environment"] = {**block.get("environment", {}), **variables}
    parts = tuple(replace(part, slurm={**part.slurm, **_of_parts(forced)}) for part in job.components)
    return replace(job, slurm=block, components=parts)


def _of_parts(forced: Mapping[str, Any]) -> dict[str, Any]:
    """What is forced upon the further components of a heterogeneous job: not what is the whole job's."""
    return {name: value for name, value in forced.items() if name not in WHOLE_JOB}


def _parts(job: JobSpec) -> list[tuple[str, Mapping[str, Any]]]:
    """The blocks of the job and of its further components, with their paths."""
    others = [(f"{PATH}.components[{n}].slurm", part.slurm) for n, part in enumerate(job.components)]
    return [(PATH, job.slurm), *others]


def _forbidden(job: JobSpec, policy: SlurmPolicy) -> list[Refusal]:
    return [
        Refusal(f"{path}.{name}", f"is not allowed at this site: {policy.forbidden[name]}; leave it out")
        for path, block in _parts(job)
        for name in block
        if name in policy.forbidden
    ]


def _other_values(job: JobSpec, policy: SlurmPolicy) -> list[Refusal]:
    return [
        Refusal(f"{path}.{name}", f"is always {value} at this site: {why}; leave it out")
        for path, block in _parts(job)
        for name, (value, why) in policy.forced.items()
        if name in block and block[name] != value
    ]


def _folder(job: JobSpec, user: User, policy: SlurmPolicy) -> list[Refusal]:
    """The folder where the job starts must be one that the site's hosts share."""
    folder = absolute(job.slurm.get("chdir", ""), user.home).rstrip("/")
    shared = [root.rstrip("/") for root in (user.home, *policy.folders)]
    inside = any(f"{folder}/".startswith(f"{root}/") for root in shared)
    if inside and ".." not in folder.split("/"):
        return []
    where = " or ".join(shared)
    return [
        Refusal(
            f"{PATH}.chdir",
            f"{folder} is not below {where}: submit it from a folder there, or name one: --chdir={user.home}",
        )
    ]


def _plugins(job: JobSpec, policy: SlurmPolicy) -> list[Refusal]:
    there = ", ".join(sorted(policy.plugins)) or "none"
    return [
        Refusal(
            f"{PATH}.plugins[{name}]",
            f"this site's Slurm has no plugin with the option {name}; there are {there}: leave it out",
        )
        for name in job.slurm.get("plugins", {})
        if name not in policy.plugins
    ]
