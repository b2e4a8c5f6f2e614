"""How each secret of a site is rotated, as one table: what to bring to the hosts, and what to prove when."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from platformctl.engine.fleet import Fleet
from platformctl.engine.rotation import authority, encryption, slurm
from platformctl.site.rotations import BY_NAME, Phase, SiteSecret

Proof = Callable[[Fleet], Awaitable[str]]
"""Waits for or proves something on the site; says in words what is so now. PlatformError: it is not."""


@dataclass(frozen=True)
class Rotation:
    """One row. group: the hosts whose secret it is; without any, platformctl does not run what uses it.

    stages: those that bring the secret to hosts and charts; they run in each phase. proofs: by phase, after
    its stages; the phase ends when they have succeeded. ends_jobs: whether a rotation may end running jobs of
    Slurm, so that it needs --yes while there are some.
    """

    secret: SiteSecret
    group: str
    stages: tuple[str, ...]
    proofs: Mapping[Phase, tuple[Proof, ...]] = field(default_factory=dict)
    ends_jobs: bool = False


ROTATIONS: tuple[Rotation, ...] = (
    Rotation(
        BY_NAME["munge_key"],
        "munge",
        ("munge",),
        {Phase.RETIRED: (slurm.munge_agrees,)},
        ends_jobs=True,
    ),
    Rotation(
        BY_NAME["slurm_jwt_key"],
        "slurm_controller",
        ("slurm_accounting", "slurm_controller", "charts"),
        {Phase.RETIRED: (slurm.tokens_follow,)},
    ),
    Rotation(
        BY_NAME["slurm_accounting_password"],
        "slurm_accounting",
        ("slurm_accounting",),
        {Phase.RETIRED: (slurm.database_password,)},
    ),
    Rotation(
        BY_NAME["kubernetes_encryption_key"],
        "kubernetes_control_plane",
        ("kubernetes_control_plane",),
        {
            Phase.NEXT: (encryption.loaded,),
            Phase.PREVIOUS: (encryption.loaded, encryption.rewritten),
            Phase.RETIRED: (encryption.loaded, encryption.only_new),
        },
    ),
    Rotation(
        BY_NAME["site_ca"],
        "all",
        ("base", "registry", "kubernetes_addons", "slurm_rest", "charts"),
        {
            Phase.NEXT: (authority.trusted,),
            Phase.PREVIOUS: (authority.trusted, authority.shown),
            Phase.RETIRED: (authority.forgotten, authority.shown, slurm.jobs_run),
        },
    ),
)
"""Every secret has a row."""


def rotation(name: str) -> Rotation | None:
    """The row of a secret, by its name."""
    return next((row for row in ROTATIONS if row.secret.name == name), None)
