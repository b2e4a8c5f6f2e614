"""Runs the preflight: probes all hosts over ssh at once and judges them together."""

import json
import shlex
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from platformctl.engine import remote, ssh_errors
from platformctl.engine.checking import preflight
from platformctl.engine.checking.preflight import Finding, Level, Subject
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.planning import record
from platformctl.engine.remote import Reply

_PROBE = "roles/preflight/library/host_probe.py"
_TAKE_ON = f"umask 077 && mkdir -p {record.FOLDER} && cat > {record.FOLDER}/managed"


@dataclass(frozen=True)
class Verdict:
    """Findings for all hosts: those that were probed, and those that are unreachable or deny root."""

    findings: tuple[Finding, ...]
    unreachable: frozenset[str]

    def errors(self, host: str) -> list[Finding]:
        """The errors of a host."""
        return [finding for finding in self.findings if finding.host == host and finding.level is Level.ERROR]


async def check(fleet: Fleet, names: tuple[str, ...], data: Path) -> Verdict:
    """Probe these hosts and judge them; duplicates are looked for among them."""
    source = _source(data)
    addresses = {host.name: host.connection.address for host in fleet.hosts.values()}

    async def probe(host: Host) -> tuple[Host, Reply, float]:
        asked = time.monotonic()
        arguments = {"peers": preflight.peers_of(host.name, addresses), "operator_epoch": time.time()}
        script = f"exec python3 - {shlex.quote(json.dumps(arguments))}"
        reply = await remote.run(host.connection, script, source)
        return host, reply, time.monotonic() - asked

    # A first command opens the connections, so that the probe reads its clock soon after ours. Hosts that do
    # not answer it are not probed: each would cost a second timeout.
    hosts = [fleet.hosts[name] for name in names]
    touched = await remote.run_all(hosts, dict.fromkeys(names, "true"))
    subjects = []
    failures = [_failure(host, touched[host.name]) for host in hosts if touched[host.name].unreachable]
    reached = [host for host in hosts if not touched[host.name].unreachable]
    for host, reply, seconds in await remote.together(map(probe, reached)):
        if reply.code == 0:
            probe_result = json.loads(reply.out)
            address = host.connection.address
            subjects.append(
                Subject(host.name, address, host.groups, fleet.site, probe_result, seconds, host.variables)
            )
        else:
            failures.append(_failure(host, reply))
    order = {name: index for index, name in enumerate(names)}
    findings = sorted([*failures, *preflight.judge(subjects)], key=lambda finding: order[finding.host])
    return Verdict(tuple(findings), frozenset(failure.host for failure in failures))


async def take_on(fleet: Fleet, names: tuple[str, ...]) -> dict[str, Reply]:
    """Write on each host that it belongs to this site."""
    hosts = [fleet.hosts[name] for name in names]
    return await remote.run_all(hosts, dict.fromkeys(names, _TAKE_ON), f"{fleet.site}\n")


@cache
def _source(data: Path) -> str:
    return (data / _PROBE).read_text()


def _failure(host: Host, reply: Reply) -> Finding:
    if reply.unreachable:
        remedy = ssh_errors.remedy(reply.err, host.connection)
        return Finding(host.name, "ssh", Level.ERROR, reply.message, remedy)
    if reply.denied:
        remedy = (
            f"let {host.connection.user} use sudo there without a password, or set ansible_become_password"
        )
        return Finding(host.name, "sudo", Level.ERROR, reply.message, remedy)
    remedy = "install python3 there" if "python3" in reply.message else "look at the message"
    return Finding(host.name, "probe", Level.ERROR, reply.message, remedy)
