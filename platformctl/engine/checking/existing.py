"""Judges what of others a host has: what an installation would take, and who accepted it.

Pure, like the rest of preflight. The host says what it found (playbooks/module_utils/takeover); the
inventory's `takeover` and `--yes NAME` say what the operator accepts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platformctl.engine.checking.findings import Finding, Level, Subject

CHECK = "takeover"
PASSWORD = "slurm_accounting_database_root_password"  # noqa: S105 - the variable's name
_BEFORE = "/var/lib/platformctl/before"
# What happens to it then, and what `reset` does.
_FATES = {
    "removed": ("apt removes it", "`reset` installs it again where apt still has it"),
    "upgraded": ("apt upgrades it", "`reset` installs the old version where apt still has it"),
    "downgraded": ("apt replaces it", "`reset` installs the old version where apt still has it"),
    "held": ("it is taken off hold", "`reset` puts it on hold again"),
    "stopped": ("it is stopped, and its files and data are moved aside", "`reset` brings it back"),
    "kept": ("it goes on with the configuration of platformctl", "`reset` brings its own back"),
    "beside": ("nothing of it changes", "`reset` leaves it"),
}
_PACKAGES = ("removed", "upgraded", "downgraded", "held")
_KUBERNETES = frozenset({"kubernetes_control_plane", "kubernetes_node"})
_FIREWALLS = {
    "nftables": "/etc/nftables.conf flushes the rules of Kubernetes whenever nftables.service starts",
    "ufw": "ufw keeps rules that may drop traffic of pods and of Slurm",
    "firewalld": "firewalld keeps rules that may drop traffic of pods and of Slurm",
}


def _takeovers(subject: Subject) -> Iterator[Finding]:
    for entry in _existing(subject).get("findings", ()):
        names = tuple(entry["names"])
        happens, later = _FATES[entry["fate"]]
        if entry["denied"]:
            yield Finding(
                subject.name,
                "database",
                Level.ERROR,
                f"{entry['name']} of others does not let root in: {entry['denied']}",
                f"set {PASSWORD} to the password of its root (ansible-vault encrypt_string)",
            )
        if entry["found"]:
            what = "" if entry["fate"] in _PACKAGES else f"{entry['name']} is there: "
            found = what + "; ".join(entry["found"])
            if subject.accepted.intersection(names):
                remedy = f"accepted: {happens}; what was there is recorded in {_BEFORE}; {later}"
                yield Finding(subject.name, CHECK, Level.WARNING, found, remedy, names)
            else:
                accept = f"--yes {names[0]}, or takeover: [{names[0]}] in the inventory"
                remedy = f"take it away yourself, or accept it: {accept} (then {happens}; {later})"
                yield Finding(subject.name, CHECK, Level.ERROR, found, remedy, names)
        for words in entry["blocked"]:
            remedy = f"move the data of {entry['name']} away yourself; what is mounted below it, unmount"
            yield Finding(subject.name, "existing", Level.ERROR, words, remedy)
        for note in entry["notes"]:
            level = Level.OK if entry["fate"] in ("beside", "kept") and "beside" in note else Level.WARNING
            yield Finding(subject.name, "existing", level, note)


def _packages(subject: Subject) -> Iterator[Finding]:
    if words := _existing(subject).get("refused"):
        remedy = "make `apt-get --simulate install` of these work there: holds, pins, unfinished packages"
        yield Finding(subject.name, "packages", Level.ERROR, f"apt would refuse: {words}", remedy)


def _guessed(subject: Subject) -> Iterator[Finding]:
    if _existing(subject).get("guessed"):
        found = "apt has no lists of packages yet, so it cannot say what it would remove"
        remedy = "`install` fetches them and looks again before it changes anything"
        yield Finding(subject.name, "packages", Level.OK, found, remedy)


def _firewall(subject: Subject) -> Iterator[Finding]:
    for name in subject.probe.get("firewall", ()) if subject.groups & _KUBERNETES else ():
        remedy = "let it replace its own tables only" if name == "nftables" else "allow the site's ports"
        yield Finding(subject.name, "firewall", Level.WARNING, _FIREWALLS[name], remedy)


CHECKS = (_takeovers, _packages, _guessed, _firewall)


def unmatched(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Names that accept nothing on any of these hosts, and never did: misspelt, or taken away since."""
    matched: set[str] = set()
    for subject in subjects:
        matched.update(_existing(subject).get("accepted", ()))
        matched.update(subject.probe.get("accounts", {}).get("changes", ()))
        matched.update(name for entry in _existing(subject).get("findings", ()) for name in entry["names"])
    seen: set[str] = set()
    for subject in subjects:
        # What was taken over on other hosts of the site may stay in the inventory.
        asked = subject.agreed if subject.probe["site"] else subject.accepted
        for name in sorted(asked - matched - seen):
            remedy = "check its spelling; it may stay if this was taken over before"
            yield Finding(subject.name, CHECK, Level.WARNING, f"nothing is called {name}", remedy)
        seen |= asked


def _existing(subject: Subject) -> Mapping[str, Any]:
    found: Mapping[str, Any] = subject.probe.get("existing", {})
    return found
