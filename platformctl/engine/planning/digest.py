"""The digest of a stage on a host: what its result is made of.

Parts are named, so that a plan can say which one differs: the files of its roles, the raw values of the
variables those roles declare in argument_specs, the data of other hosts it reads, the artefacts it uses.
Values are hashed and never kept; those of secrets slowly, with a salt.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

import platformctl
from platformctl.engine.fleet import LOCALHOST, Fleet, Host
from platformctl.engine.planning import fingerprints, shown
from platformctl.engine.stages import Peers, Stage
from platformctl.site import secrets

Parts = Mapping[str, str]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INCLUDED_ROLE = re.compile(r"(?:include|import)_role:\s*(?:\n\s+|\{\s*)name:\s*[\"']?([a-z0-9_]+)")
_SHARED_MODULES = ("playbooks/library", "playbooks/module_utils")
_READABLE = ("cores", "share", "kept", "devices")
_IGNORED = ("__pycache__", "molecule", ".pyc")


def value(parts: Parts) -> str:
    """One digest over all parts."""
    return _hash(json.dumps(sorted(parts.items())))


class StageDigest:
    """What the results of one stage are made of, on any of its hosts.

    data: folder with roles/ and playbooks/. index: contents of the artefact store's index.json, or empty.
    sizes: parts of measured hosts. salt: of the site's fingerprints, which stand for its secrets.
    """

    def __init__(
        self,
        stage: Stage,
        fleet: Fleet,
        data: Path,
        index: Mapping[str, Any],
        sizes: Parts | None = None,
        salt: str = "",
    ) -> None:
        self._stage = stage
        self._sizes = dict(sizes or {})
        self._fleet = fleet
        self._data = data
        self._index = index
        self._salt = salt
        self._roles = with_included(stage.roles, data / "roles")
        self._names = {
            *stage.variables,
            *(name for role in self._roles for name in declared(data / "roles" / role)),
        }

    def parts(self, host: str) -> Parts:
        """Name and digest of everything that decides the result of the stage on `host`."""
        return self._same | self._own(host)

    def prints(self, host: str) -> dict[str, str]:
        """The fingerprints of the site's secrets that the stage uses on `host`, by variable."""
        subject = _variables_host(self._stage, host, self._fleet)
        used = sorted(self._names & set(secrets.NAMES) & set(subject.variables if subject else ()))
        return {name: self._fingerprint(subject.variables[name]) for name in used} if subject else {}

    def shown(self, host: str) -> dict[str, str]:
        """The values of the variables in the stage's digest on `host` that a plan may show."""
        subject = _variables_host(self._stage, host, self._fleet)
        if subject is None:
            return {}
        reached = _reached(self._names, subject.variables)
        return shown.values(reached, subject.variables, self._fleet.secrets)

    def renewed(self, old: Parts, host: str) -> Parts:
        """Recorded parts, in which secrets that have not changed look as they do in `parts`."""
        subject = _variables_host(self._stage, host, self._fleet)
        variables = subject.variables if subject else {}
        return {
            part: self._fingerprint(variables[name])
            if (name := part.partition(":")[2]) in variables
            and name.startswith(fingerprints.SECRET_PREFIX)
            and fingerprints.fits(found, str(variables[name]))
            else found
            for part, found in old.items()
        }

    def _fingerprint(self, value: Any) -> str:
        return fingerprints.fingerprint(str(value), self._salt)

    @cached_property
    def _same(self) -> dict[str, str]:
        """The parts that all hosts share, computed once: peers by host would cost the square of the hosts."""
        parts = {f"role:{role}": tree(self._data / "roles" / role) for role in self._roles}
        for folder in (*self._stage.folders, *(_SHARED_MODULES if self._roles else ())):
            parts[f"files:{folder}"] = tree(self._data / folder)
        for module in self._stage.modules:
            parts[f"module:{module}"] = _module(module)
        for peers in self._stage.peers:
            parts[f"peers:{peers.group}"] = _peers(peers, self._fleet, self._names)
        for kind, names in self._stage.listed.items():
            for name, belonging in names(self._fleet).items():
                # A text stays readable, so that a plan can say what it was.
                readable = isinstance(belonging, str)
                parts[f"{kind}:{name}"] = belonging if readable else _hash(_canonical(belonging))
        for group in self._stage.inhabited:
            if self._fleet.members(group):
                parts[f"group:{group}"] = ""
        return parts | self._sizes | _artifacts(self._stage.artifacts, self._index)

    def _own(self, host: str) -> dict[str, str]:
        subject = _variables_host(self._stage, host, self._fleet)
        if not subject:
            return {}
        parts = {
            f"variable:{name}": self._fingerprint(subject.variables[name])
            if name.startswith(fingerprints.SECRET_PREFIX)
            else _hash(_canonical(subject.variables[name]))
            for name in sorted(_reached(self._names, subject.variables))
        }
        if self._stage.group == "all":
            parts["groups"] = _hash(_canonical(sorted(subject.groups)))
        return parts


@dataclass(frozen=True)
class Change:
    """One part that differs. old, new: what is recorded and what would be; None for a part that is not."""

    old: str | None
    new: str | None

    @property
    def verb(self) -> str:
        """In words: `changed`, `is new` or `is gone`."""
        if self.old is None:
            return "is new"
        return "is gone" if self.new is None else "changed"


def changes(old: Parts, new: Parts) -> dict[str, Change]:
    """The parts that differ."""
    return {
        name: Change(old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }


def differences(
    old: Parts,
    new: Parts,
    before: Mapping[str, str] = MappingProxyType({}),
    now: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The parts that differ, in words: `variable slurm_partitions changed`.

    before, now: values of variables that may be shown.
    """
    return tuple(_difference(name, change, before, now) for name, change in changes(old, new).items())


def _difference(name: str, change: Change, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    kind, _, rest = name.partition(":")
    if kind == "variable" and (rest in before or rest in now):
        return f"{_words(name)} {_shown(change, before.get(rest), now.get(rest))}"
    if kind == "size" and change.verb == "changed":
        return f"{rest} has {change.new}, recorded are {change.old}"
    if kind in _READABLE and change.verb == "changed":
        return f"{_words(name)} changed from {change.old} to {change.new}"
    return f"{_words(name)} {change.verb}"


def _shown(change: Change, before: str | None, now: str | None) -> str:
    if change.verb == "is new" and now:
        return f"is new: {now}"
    if change.verb == "is gone" and before:
        return f"is gone, it was {before}"
    words = " ".join(filter(None, (f"from {before}" if before else "", f"to {now}" if now else "")))
    return f"{change.verb} {words}".rstrip() if change.verb == "changed" else change.verb


def _words(part: str) -> str:
    kind, _, name = part.partition(":")
    words = {
        "artifact": "artefact",
        "peers": "data of hosts in group",
        "files": "files in",
        "size": "size of",
        "cores": "cores of",
        "share": "Slurm's CPUs of",
        "runtime": "hosts of runtime class",
        "kept": "the system's CPUs of",
        "devices": "number of devices of",
        "devicefiles": "device files of",
    }
    return "membership of groups" if kind == "groups" else f"{words.get(kind, kind)} {name}"


@cache
def tree(folder: Path) -> str:
    """Digest of all files below a folder: their paths and contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(word in str(path.relative_to(folder)) for word in _IGNORED):
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def _module(name: str) -> str:
    """Digest of a module of platformctl."""
    path = Path(platformctl.__file__).parent.joinpath(*name.split(".")[1:]).with_suffix(".py")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def declared(role: Path) -> frozenset[str]:
    """Names of the variables a role declares in meta/argument_specs.yml, over all entry points."""
    path = role / "meta" / "argument_specs.yml"
    if not path.is_file():
        return frozenset()
    specs = (yaml.safe_load(path.read_text()) or {}).get("argument_specs") or {}
    return frozenset(name for spec in specs.values() for name in (spec or {}).get("options") or {})


def with_included(roles: Iterable[str], folder: Path) -> tuple[str, ...]:
    """The roles, and the roles that they include or depend on, once each."""
    names: dict[str, None] = {}
    waiting = list(roles)
    while waiting:
        role = waiting.pop(0)
        if role not in names:
            names[role] = None
            waiting.extend(_included(folder / role))
    return tuple(names)


@cache
def _included(role: Path) -> tuple[str, ...]:
    texts = [path.read_text() for part in ("tasks", "handlers") for path in (role / part).glob("*.yml")]
    meta = role / "meta" / "main.yml"
    described = (yaml.safe_load(meta.read_text()) or {}) if meta.is_file() else {}
    dependencies = {str(dependency["role"]) for dependency in described.get("dependencies") or []}
    return tuple(sorted(dependencies.union(*map(_INCLUDED_ROLE.findall, texts))))


def _variables_host(stage: Stage, host: str, fleet: Fleet) -> Host | None:
    """The host whose variables count: for a step on this machine, the host that records it."""
    return fleet.hosts.get(stage.recorded_on(fleet, host) if host == LOCALHOST else host)


def _reached(names: Iterable[str], variables: Mapping[str, Any]) -> Iterator[str]:
    """The variables of `names` that are set, and all variables that their Jinja mentions, recursively."""
    seen: set[str] = set()
    waiting = [name for name in names if name in variables]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        text = _canonical(variables[name])
        if "{{" in text or "{%" in text:
            waiting.extend(word for word in set(_WORD.findall(text)) if word in variables)


def _peers(peers: Peers, fleet: Fleet, read: set[str]) -> str:
    """Digest of the hosts of a group. read: names that a pattern may match; a plain name always counts."""
    chosen = []
    for name in fleet.members(peers.group)[: 1 if peers.first else None]:
        variables = fleet.hosts[name].variables
        counted = {key for key in variables if key in peers.variables or _matches(key, peers, read)}
        chosen.append((name, {key: variables[key] for key in sorted(counted)}))
    return _hash(_canonical(chosen))


def _matches(key: str, peers: Peers, read: set[str]) -> bool:
    return key in read and _named(key, peers.variables)


def _named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _artifacts(patterns: tuple[str, ...], index: Mapping[str, Any]) -> dict[str, str]:
    if patterns == ("*",):
        return {"artifact:store": str(index.get("lock", ""))[:16]} if index else {}
    digests = {}
    for section in ("binaries", "images", "charts"):
        for name, entry in (index.get(section) or {}).items():
            if _named(name, patterns):
                digests[f"artifact:{name}"] = str(
                    entry.get("sha256") or entry.get("digest") or _hash(_canonical(entry))
                )
    return {name: digest.removeprefix("sha256:")[:16] for name, digest in digests.items()}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
