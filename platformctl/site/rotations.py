"""The site's secrets as one table, and how one of them is changed without losing what the old one protects.

A rotation is a walk through phases. The vault itself says in which phase a secret is, by the names of what it
holds, so that a rotation that was killed continues wherever the vault is:

    NAME_next      hosts accept this one too, and still use NAME
    NAME_previous  hosts use NAME, and still accept this one
    NAME_retired   hosts know NAME alone; this one is kept until it is proven that nothing needs it

Every phase is a state that `install` can bring hosts to. A secret of which only one can be valid at a time
has the last phase alone.
"""

import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from platformctl.site import secrets


class Phase(StrEnum):
    """How far a rotation is; the value is the suffix of the other key in the vault."""

    NEXT = "next"
    PREVIOUS = "previous"
    RETIRED = "retired"


@dataclass(frozen=True)
class SiteSecret:
    """One secret of a site.

    name: as in `secrets rotate NAME`. variables: what changes together, by name in the vault; the first says
    in which phase it is. purpose and users: what it is for, and who reads it. overlap: whether two can be
    valid at a time. notice: what people notice during a rotation. make: new values, from the site's name.
    """

    name: str
    variables: tuple[str, ...]
    purpose: str
    users: str
    overlap: bool
    notice: str
    make: Callable[[str], Mapping[str, str]]

    def phase(self, held: Mapping[str, str]) -> Phase | None:
        """In which phase of a rotation it is; None if it is not being rotated."""
        return next((phase for phase in Phase if f"{self.variables[0]}_{phase}" in held), None)

    def advanced(self, held: Mapping[str, str], site_name: str) -> dict[str, str]:
        """The vault's content one phase further: into a rotation, on in it, or out of it."""
        match self.phase(held):
            case None if self.overlap:
                made = self.make(site_name)
                return {**held, **{f"{name}_{Phase.NEXT}": value for name, value in made.items()}}
            case None:
                return {**_renamed(held, self.variables, "", f"_{Phase.RETIRED}"), **self.make(site_name)}
            case Phase.NEXT:
                aside = _renamed(held, self.variables, "", f"_{Phase.PREVIOUS}")
                return _renamed(aside, self.variables, f"_{Phase.NEXT}", "")
            case Phase.PREVIOUS:
                return _renamed(held, self.variables, f"_{Phase.PREVIOUS}", f"_{Phase.RETIRED}")
            case Phase.RETIRED:
                gone = {f"{name}_{Phase.RETIRED}" for name in self.variables}
                return {name: value for name, value in held.items() if name not in gone}


def accepted(name: str, held: Mapping[str, object]) -> tuple[str, ...]:
    """The values of a variable that a host may have: the present one, and those of a rotation."""
    names = (name, *(f"{name}_{phase}" for phase in Phase))
    return tuple(str(held[each]) for each in names if held.get(each))


def trusted(name: str, held: Mapping[str, object]) -> tuple[str, ...]:
    """The values of a variable that count now: the present one, and a second one during a rotation."""
    names = (name, f"{name}_{Phase.NEXT}", f"{name}_{Phase.PREVIOUS}")
    return tuple(str(held[each]) for each in names if held.get(each))


def _renamed(held: Mapping[str, str], names: tuple[str, ...], old: str, new: str) -> dict[str, str]:
    mapping = {f"{name}{old}": f"{name}{new}" for name in names}
    return {mapping.get(name, name): value for name, value in held.items()}


def _generated(name: str) -> Callable[[str], Mapping[str, str]]:
    return lambda _: {name: secrets.GENERATORS[name]()}


def _authority(site_name: str) -> Mapping[str, str]:
    from platformctl.site import authority  # late: loads X.509

    key, certificate = authority.create(site_name)
    return {secrets.CA_KEY: key, secrets.CA_CERTIFICATE: certificate}


def _encryption_key(_: str) -> Mapping[str, str]:
    # etcd holds the key's name before each value, so that each key needs a name of its own.
    return {
        ENCRYPTION_KEY: secrets.GENERATORS[ENCRYPTION_KEY](),
        f"{ENCRYPTION_KEY}_name": f"site-{randomness.token_hex(4)}",
    }


MUNGE_KEY = "secret_munge_key"
JWT_KEY = "secret_slurm_jwt_key"
ACCOUNTING_PASSWORD = "secret_slurm_accounting_password"  # noqa: S105 - a name
ENCRYPTION_KEY = "secret_kubernetes_encryption_key"

SECRETS: tuple[SiteSecret, ...] = (
    SiteSecret(
        "munge_key",
        (MUNGE_KEY,),
        "proves to each host of the Slurm cluster who sent a request",
        "munged on all hosts of group munge",
        overlap=False,
        notice="for seconds, until all hosts have the new key, Slurm's commands fail and no job starts; jobs "
        "whose steps report in this time may lose their daemons. munge knows one key at a time",
        make=_generated(MUNGE_KEY),
    ),
    SiteSecret(
        "slurm_jwt_key",
        (JWT_KEY,),
        "signs and checks the tokens of Slurm's REST interface",
        "slurmctld, slurmdbd and the job router",
        overlap=False,
        notice="all tokens that were issued become invalid: users run `scontrol token` again. Until the job "
        "router has the new key, Jobs wait before they go to Slurm. Running jobs go on",
        make=_generated(JWT_KEY),
    ),
    SiteSecret(
        "slurm_accounting_password",
        (ACCOUNTING_PASSWORD,),
        "lets slurmdbd into its database",
        "MariaDB and slurmdbd",
        overlap=False,
        notice="slurmdbd restarts; slurmctld keeps its records until it is back. Jobs go on",
        make=_generated(ACCOUNTING_PASSWORD),
    ),
    SiteSecret(
        "kubernetes_encryption_key",
        (ENCRYPTION_KEY, f"{ENCRYPTION_KEY}_name"),
        "encrypts Secrets in etcd",
        "the API server",
        overlap=True,
        notice="nothing: API servers read their keys again while they run, and all Secrets are written again",
        make=_encryption_key,
    ),
    SiteSecret(
        "site_ca",
        (secrets.CA_CERTIFICATE, secrets.CA_KEY),
        "signs the certificates of the registry, the Slurm REST service and the metrics server",
        "all hosts and the job router trust it; its key is on the operator's machine alone",
        overlap=True,
        notice="the registry, the Slurm REST service and the metrics server restart for seconds. Whoever has "
        "the old certificate outside of the site's hosts needs the new one",
        make=_authority,
    ),
)
"""Every secret of a site. Each has a rotation."""

BY_NAME: Mapping[str, SiteSecret] = {secret.name: secret for secret in SECRETS}


def of_variable(variable: str) -> SiteSecret | None:
    """The secret that a variable of the vault belongs to, if any."""
    return next((secret for secret in SECRETS if variable in secret.variables), None)
