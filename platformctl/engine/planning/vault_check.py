"""Whether the vault still has the secrets that the site's hosts use.

Another site's vault, one that was made anew, or a value edited by hand is refused before it destroys what the
old secrets protect. During a rotation the vault holds the old value and the new one, and both fit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platformctl.engine.fleet import Fleet
from platformctl.engine.planning import fingerprints, record
from platformctl.engine.planning.record import Records
from platformctl.engine.stages import STAGES, Stage
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import rotations, secrets

_MOST_NAMED = 8
_ASKED_EACH = 200


@dataclass(frozen=True)
class Difference:
    """One secret of which hosts have another value than the vault. since: when they got it, by host.

    kinds: hosts that have the same value, together.
    """

    variable: str
    since: Mapping[str, str]
    kinds: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> str:
        """For people, with the hosts."""
        groups = [
            f"{_listed(hosts)} (since {self.since[hosts[0]] or 'an earlier version'})" for hosts in self.kinds
        ]
        secret = rotations.of_variable(self.variable)
        name = f"{secret.name} ({self.variable})" if secret else self.variable
        return f"{name}: another one is in use on {', and yet another on '.join(groups)}"


def uses(
    table: Iterable[Stage], fleet: Fleet, records: Records
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Host, variable and fingerprints of each secret that a stage of the site has left on a host.

    Not of a host that left the stage's group: nobody brings new secrets there.
    """
    for stage in table:
        hosts = [stage.recorded_on(fleet, host) for host in stage.targets(fleet)]
        for host in filter(None, hosts):
            entry = records.stages.get(host, {}).get(stage.name) or {}
            for name, kept in fingerprints.of_entry(entry).items():
                yield host, name, kept


def differences(table: Iterable[Stage], fleet: Fleet, records: Records) -> tuple[Difference, ...]:
    """The secrets of which hosts recorded others than the vault has."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for host, name, kept in uses(table, fleet, records):
        values = rotations.accepted(name, fleet.variables)
        if not any(fingerprints.fits(each, value) for each in kept["prints"] for value in values):
            kind = "/".join(kept["prints"])
            found.setdefault(name, {}).setdefault(kind, {}).setdefault(host, str(kept["since"]))
    return tuple(
        Difference(
            name,
            {host: since for hosts in kinds.values() for host, since in hosts.items()},
            tuple(tuple(hosts) for hosts in kinds.values()),
        )
        for name, kinds in sorted(found.items())
    )


async def check(fleet: Fleet) -> None:
    """Ask the hosts; raise PlatformError, code REFUSED, if one uses other secrets than the vault has."""
    refuse_foreign(STAGES, fleet, await record.read(fleet, sample(fleet, tuple(fleet.hosts))))


def sample(fleet: Fleet, hosts: Sequence[str]) -> tuple[str, ...]:
    """These hosts, or on a large site one of each group: to open all ssh connections would take minutes."""
    if len(hosts) <= _ASKED_EACH:
        return tuple(hosts)
    first = {host.name for group in fleet.groups if (host := fleet.first(group))}
    return tuple(name for name in hosts if name in first)


def refuse_foreign(table: Sequence[Stage], fleet: Fleet, records: Records) -> None:
    """Raise PlatformError, code REFUSED, if a host uses other secrets than the vault has."""
    different = differences(table, fleet, records)
    if not different:
        return
    inventory = fleet.inventory
    vault = secrets.vault_path(inventory)
    names = sorted({secret.name for each in different if (secret := rotations.of_variable(each.variable))})
    hosts = {host for each in different for host in each.since}
    remedies = [f"put back the vault that these hosts were installed with, as {vault}"]
    remedies.append(
        f"to change a secret, put it back first, then: platformctl secrets rotate {names[0]} -i {inventory}"
    )
    if hosts < {host for host, _, _ in uses(table, fleet, records)}:
        remedies.append(
            f"if they were another site's: platformctl reset -i {inventory} --limit {','.join(sorted(hosts))}"
        )
    lacking = "has none" if not any(name in fleet.variables for name in secrets.NAMES) else "has others"
    raise PlatformError(
        f"hosts use secrets of which the vault {lacking}, so nothing was done: with other keys, "
        "what is encrypted cannot be read again, and services no longer know each other",
        where=str(vault),
        next="; ".join(remedies),
        code=ExitCode.REFUSED,
        details=[each.words for each in different],
    )


@dataclass(frozen=True)
class Item:
    """One secret in the overview.

    variables: its names in the vault. state: there and on hosts. since: when the first host got it.
    """

    name: str
    variables: str
    state: str
    since: str
    fingerprint: str
    purpose: str
    users: str


@dataclass(frozen=True)
class Overview:
    """All secrets, and why hosts could not be asked."""

    items: tuple[Item, ...]
    down: Mapping[str, str]


async def overview(fleet: Fleet) -> Overview:
    """The secrets of the vault, beside what hosts recorded. Never raises for a foreign vault: it says so."""
    records = await record.read(fleet, tuple(fleet.hosts))
    foreign = {each.variable for each in differences(STAGES, fleet, records)}
    ages: dict[str, list[str]] = {}
    for _, name, kept in uses(STAGES, fleet, records):
        ages.setdefault(name, []).append(str(kept["since"]))
    items = []
    for secret in rotations.SECRETS:
        variable = secret.variables[0]
        value = fleet.variables.get(variable)
        found = fingerprints.fingerprint(str(value), records.salt) if value else ""
        state = _state(secret, fleet, variable in foreign, variable in ages)
        since = min(filter(None, ages.get(variable, ())), default="")
        variables = ", ".join(secret.variables)
        short = found.rpartition("$")[2]
        items.append(Item(secret.name, variables, state, since, short, secret.purpose, secret.users))
    return Overview(tuple(items), {host: reply.refusal for host, reply in records.down.items()})


def _state(secret: rotations.SiteSecret, fleet: Fleet, foreign: bool, used: bool) -> str:
    held = {name: str(value) for name, value in fleet.variables.items()}
    if foreign:
        return "hosts have another one"
    if secret.variables[0] not in held:
        return "missing"
    if phase := secret.phase(held):
        return f"being rotated ({phase})"
    return "in use" if used else "not on any host yet"


def unfinished(fleet: Fleet) -> list[str]:
    """A remark for each secret whose rotation has begun and not ended."""
    prefix = fingerprints.SECRET_PREFIX
    held = {name: str(value) for name, value in fleet.variables.items() if name.startswith(prefix)}
    begun = [secret.name for secret in rotations.SECRETS if secret.phase(held)]
    return [
        f"the rotation of {name} is not finished: platformctl secrets rotate {name} -i {fleet.inventory}"
        for name in begun
    ]


def _listed(hosts: Iterable[str]) -> str:
    names = list(hosts)
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more hosts" if rest > 0 else "")
