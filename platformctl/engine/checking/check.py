"""Runs the preflight: probes all hosts over ssh at once and judges them together."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformctl.engine import loading, remote, ssh_errors
from platformctl.engine.checking import (
    accounts,
    claims,
    existing,
    floors,
    network,
    node_parts,
    preflight,
    program,
    reach,
    runtime_classes,
)
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.remote import Reply

_PROBE = "roles/preflight/library/host_probe.py"
_BEFORE = "playbooks/library/host_before.py"
# A host without package lists fetches them; apt may remove packages, and wait for another program's lock, and
# data of mount points may have to be copied.
_PROBE_SECONDS, _TAKE_SECONDS = 400, 4 * 3600

# By what sudo says; the first whose sign is in it applies.
_SUDO_REMEDIES = (
    (
        "must have a tty",
        "let sudo work without a terminal there: Defaults:{user} !requiretty in /etc/sudoers.d",
    ),
    ("incorrect password", "correct ansible_become_password"),
    ("", "let {user} use sudo there without a password, or set ansible_become_password"),
)


@dataclass(frozen=True)
class Verdict:
    """Findings for all hosts: those that were probed, and those that are unreachable or deny root.

    surveys: what was found of the users and groups of each host.
    fates: by host, what apt said that it would do to packages.
    """

    findings: tuple[Finding, ...] = ()
    unreachable: frozenset[str] = frozenset()
    surveys: Mapping[str, accounts.Survey] = field(default_factory=dict)
    fates: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def errors(self, host: str) -> list[Finding]:
        """The errors of a host."""
        return [finding for finding in self.findings if finding.host == host and finding.level is Level.ERROR]

    @property
    def takeovers(self) -> list[Finding]:
        """What would be taken from others: errors if nobody accepted it, else warnings.

        A name that accepts nothing is a warning, too.
        """
        return [finding for finding in self.findings if finding.check == existing.CHECK]


async def check(
    fleet: Fleet,
    names: tuple[str, ...],
    data: Path,
    agreed: Sequence[str] = (),
    *,
    everywhere: bool = False,
    fetch: bool = False,
) -> Verdict:
    """Probe these hosts and judge them; duplicates are looked for among them.

    agreed: names that the command line accepts to be taken over. everywhere: whether the network is tried on
    hosts that are installed already, too. fetch: whether hosts whose apt has no lists of packages may fetch
    them now, which an installation does anyway.
    """
    places = {host.name: [reach.address(host), host.connection.port] for host in fleet.hosts.values()}

    async def probe(host: Host) -> tuple[Host, Reply, float]:
        asked = time.monotonic()
        arguments = {
            **questions[host.name],
            "operator_epoch": time.time(),
            "claims": {**claims.of(host, fleet, data), "fetch": fetch},
        }
        text = program.program(data, _PROBE, arguments)
        reply = await remote.run(host.connection, program.COMMAND, text, _PROBE_SECONDS)
        return host, reply, time.monotonic() - asked

    known = loading.evaluated(fleet)
    questions = {name: _question(known.hosts[name], places) for name in names}

    # A first command opens the connections, so that the probe reads its clock soon after ours. Hosts that do
    # not answer it are not probed: each would cost a second timeout.
    hosts = [fleet.hosts[name] for name in names]
    touched = await remote.run_all(hosts, dict.fromkeys(names, "true"))
    subjects = []
    failures = [_failure(host, touched[host.name]) for host in hosts if touched[host.name].unreachable]
    reached = [host for host in hosts if not touched[host.name].unreachable]
    remarks: list[Finding] = []
    for host, reply, seconds in await remote.together(map(probe, reached)):
        remarks += _login(host, reply)
        probe_result = reply.document
        if probe_result is None:
            failures.append(_failure(host, reply))
            continue
        address = host.connection.address
        subjects.append(
            Subject(
                host.name,
                address,
                host.groups,
                fleet.site,
                probe_result,
                # Not what the probe took after it had read the clock.
                seconds - probe_result.get("took", 0.0),
                host.variables,
                frozenset(agreed),
            )
        )
    order = {name: index for index, name in enumerate(names)}
    tried = [subject.name for subject in subjects if everywhere or not subject.probe["site"]]
    network_findings = await network.check(fleet, tried, data)
    found = [*failures, *remarks, *preflight.judge(subjects), *network_findings]
    findings = sorted(found, key=lambda finding: order[finding.host])
    fates = {subject.name: subject.probe.get("existing", {}).get("fates", []) for subject in subjects}
    surveys = {one.name: survey for one in subjects if (survey := one.probe.get("accounts"))}
    return Verdict(tuple(findings), frozenset(failure.host for failure in failures), surveys, fates)


async def take_on(
    fleet: Fleet, names: tuple[str, ...], data: Path, verdict: Verdict, agreed: Sequence[str] = ()
) -> dict[str, tuple[list[str], str]]:
    """Make the hosts the site's: record what is there, and take over what was accepted.

    The host looks again at everything but apt, whose answer takes seconds. Returns by host what was done, and
    why it failed; a host on which more has appeared is left as it is.
    """

    async def take(host: Host) -> tuple[str, tuple[list[str], str]]:
        subject = Subject(
            host.name, "", host.groups, fleet.site, {}, variables=host.variables, agreed=frozenset(agreed)
        )
        arguments = {
            "state": "taken",
            "site": fleet.site,
            "claims": {**claims.of(host, fleet, data), "fates": verdict.fates.get(host.name, [])},
            "accepted": sorted(subject.accepted),
        }
        text = program.program(data, _BEFORE, arguments)
        reply = await remote.run(host.connection, program.COMMAND, text, _TAKE_SECONDS)
        return host.name, _taken(reply)

    return dict(await remote.together(take(fleet.hosts[name]) for name in names))


def _taken(reply: Reply) -> tuple[list[str], str]:
    if reply.code != 0:
        return [], reply.message
    answer = reply.document or {}
    if "failed" in answer:
        return [], str(answer["failed"])
    if not {"refused", "done"} <= answer.keys():
        return [], f"its answer is not understood: {reply.message}"
    refused = "; ".join(answer["refused"])
    return answer["done"], f"this has appeared since the plan was made: {refused}" if refused else ""


def _question(host: Host, places: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """What the probe of a host is told: its neighbours, the site's users, where their homes are."""
    asked = accounts.question(host)
    peers = preflight.peers_of(host.name, places)
    parts = node_parts.question(host.variables) | runtime_classes.question(
        host.variables, host.name, host.groups
    )
    return {
        "peers": peers,
        "accounts": asked,
        "home": asked["home"],
        "parts": parts,
        "floors": floors.script(),
    }


def _login(host: Host, reply: Reply) -> list[Finding]:
    """Lines that a login shell prints before every command; Ansible takes one with a brace for an answer."""
    if not reply.noise:
        return []
    hurts = [line for line in reply.noise if line.startswith("{")]
    line, level = (hurts[0], Level.ERROR) if hurts else (reply.noise[0], Level.WARNING)
    remedy = (
        f"let the shell files of {host.connection.user} there (such as ~/.bashrc) print only on a terminal: "
        "[ -t 1 ] && echo ..."
    )
    return [Finding(host.name, "login shell", level, f"it prints {line!r} for every command", remedy)]


def _failure(host: Host, reply: Reply) -> Finding:
    if reply.unreachable:
        remedy = ssh_errors.remedy(reply.err, host.connection)
        return Finding(host.name, "ssh", Level.ERROR, reply.message, remedy)
    if reply.denied:
        remedy = next(words for sign, words in _SUDO_REMEDIES if sign in reply.err)
        remedy = remedy.format(user=host.connection.user)
        return Finding(host.name, "sudo", Level.ERROR, reply.message, remedy)
    if not reply.readable:
        remedy = f"give {host.connection.user} a login shell there that runs commands, such as /bin/sh"
        return Finding(host.name, "login shell", Level.ERROR, reply.refusal, remedy)
    remedy = "install python3 there" if "python3" in reply.message else "look at the message"
    return Finding(host.name, "probe", Level.ERROR, reply.message, remedy)
