"""Takes nodes out of Kubernetes and Slurm with their work, and what was installed off their hosts.

A node may still be in the inventory or not, and its host may answer or not. Everything here may be repeated
after a kill: what is done already is passed over.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from platformctl.console import Output
from platformctl.engine.cluster import membership, node_drain
from platformctl.engine.cluster.membership import ClusterNode, Membership, counted
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.locking import host_lock
from platformctl.engine.locking.interrupt import ends_cleanly
from platformctl.engine.planning import record
from platformctl.engine.planning.record import Records
from platformctl.engine.running import progress
from platformctl.engine.running import reset as undo
from platformctl.engine.running.journal import Journal, new_run
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.report import Reporter
from platformctl.engine.running.reset import HostReset
from platformctl.engine.stages import Stage
from platformctl.errors import ExitCode, PlatformError

# What only one host of a site does, or what must stay on one of them.
_KEPT = {
    "kubernetes_control_plane": "the Kubernetes control plane",
    "registry": "the site's registry",
    "slurm_accounting": "Slurm's accounting database",
    "slurm_controller": "Slurm's controller",
    "slurm_rest": "Slurm's REST service",
}


@dataclass(frozen=True)
class Departure:
    """One node that leaves. listed: whether the inventory has it.

    refusal: why nothing is undone on its host; empty if it is. roles: what is undone there. pods, volumes: by
    namespace and name. jobs: how many. last: whether no other node takes pods.
    """

    name: str
    listed: bool
    refusal: str
    kubernetes: ClusterNode | None
    slurm: ClusterNode | None
    pods: tuple[str, ...] = ()
    jobs: int = 0
    volumes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    last: bool = False

    @property
    def nothing(self) -> bool:
        """Whether neither a scheduler nor the host has anything of it."""
        return not (self.kubernetes or self.slurm or self.roles)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """For people: node, what is concerned, what happens to it."""
        rows = []
        if self.kubernetes:
            ends = "ended, as no other node takes pods" if self.last else "evicted"
            how = f"{ends if self.kubernetes.ready else 'ended'}: {counted(len(self.pods), 'pod')}"
            rows.append((self.name, "Kubernetes", f"leaves it ({self.kubernetes.state}); {how}"))
        if self.volumes:
            rows.append(
                (self.name, "volumes", f"their data lies on this host alone: {', '.join(self.volumes)}")
            )
        if self.slurm:
            rows.append(
                (
                    self.name,
                    "Slurm",
                    f"runs no more jobs ({self.slurm.state}); now: {counted(self.jobs, 'job')}",
                )
            )
        if self.roles:
            rows.append((self.name, "host", f"what install put there is removed: {', '.join(self.roles)}"))
        elif self.refusal:
            rows.append((self.name, "host", f"stays as it is: {self.refusal}"))
        return rows


@dataclass(frozen=True)
class Removal:
    """All nodes that leave. fleet: the site, and as guests the hosts that only the schedulers know."""

    fleet: Fleet
    departures: tuple[Departure, ...]
    resets: Mapping[str, HostReset]


@dataclass(frozen=True)
class Patience:
    """seconds: how long to wait for pods and jobs. end_jobs: end jobs instead of waiting for them."""

    seconds: float
    end_jobs: bool = False


async def planned(fleet: Fleet, names: Sequence[str], stages: Sequence[Stage], data: Path) -> Removal:
    """Look at the nodes: what they are to both schedulers, what runs there, and what their hosts have.

    PlatformError: one of them must stay, or a scheduler does not answer.
    """
    for name in names:
        _refuse_needed(fleet, name)
    members = await membership.ask(fleet)
    for name in names:
        node = members.kubernetes.get(name)
        if node and node.control_plane and name not in fleet.hosts:
            raise _kept(fleet, name, _KEPT["kubernetes_control_plane"])
    records = await record.read(fleet, tuple(fleet.hosts))
    hosts = {name: _host(fleet, name, members, records) for name in names}
    guests = {host.name: host for host in hosts.values() if host and host.name not in fleet.hosts}
    whole = replace(fleet, hosts={**fleet.hosts, **guests}, guests=tuple(guests))
    stays = [node for node in members.kubernetes.values() if node.name not in names]
    last = not any(node.ready and not node.control_plane for node in stays)
    departures = [await _departure(whole, name, hosts[name], members, stages, data, last) for name in names]
    resets = {departure.name: reset for departure, reset in departures if departure.roles}
    return Removal(whole, tuple(departure for departure, _ in departures), resets)


async def _departure(
    fleet: Fleet,
    name: str,
    host: Host | None,
    members: Membership,
    stages: Sequence[Stage],
    data: Path,
    last: bool,
) -> tuple[Departure, HostReset]:
    """What leaves with one node, and what is undone on its host."""
    reset, refusal = HostReset({}, {}), "its address is not known"
    if host:
        reset = await undo.planned_reset(fleet, (host.name,), stages, data)
        records = await record.read(fleet, (host.name,))
        refusal = _refusal(fleet, name, host, reset, records)
    kubernetes, slurm = members.kubernetes.get(name), members.slurm.get(name)
    departure = Departure(
        name,
        listed=name in fleet.hosts and name not in fleet.guests,
        refusal=refusal,
        kubernetes=kubernetes,
        slurm=slurm,
        pods=tuple(await membership.pods_of(fleet, name)) if kubernetes else (),
        jobs=(await membership.count_jobs(fleet, [name])).get(name, 0) if slurm else 0,
        volumes=tuple(await node_drain.volumes_of(fleet, name)) if kubernetes else (),
        roles=reset.roles.get(host.name, ()) if host and not refusal else (),
        last=last,
    )
    return departure, reset


async def remove(removal: Removal, patience: Patience, data: Path, output: Output) -> ExitCode:
    """Take the nodes out of both schedulers, then undo what was installed on their hosts."""
    fleet = removal.fleet
    with ends_cleanly(f"platformctl node remove -i {fleet.inventory}"):
        await _leave(removal, patience, output)
    code = ExitCode.DONE
    for reset in removal.resets.values():
        code = max(code, await undo.reset(fleet, reset, data, output))
    return code


async def _leave(removal: Removal, patience: Patience, output: Output) -> None:
    fleet, started = removal.fleet, time.monotonic()
    view = progress.view(output, {})
    with view, Journal(new_run(fleet.state / "runs"), Redactor(fleet.secrets), view.show) as journal:
        hosts = len(removal.departures)
        journal.emit("started", site=fleet.site, hosts=hosts, journal=str(journal.folder))

        def say(message: str) -> None:
            journal.emit("remark", message=message)

        with Reporter(fleet, journal, "node remove").concluded(started):
            async with host_lock.hold(fleet, tuple(fleet.hosts), "node remove"):
                leaving = (_depart(fleet, departure, patience, say) for departure in removal.departures)
                ends = await asyncio.gather(*leaving, return_exceptions=True)
                # A node that cannot leave keeps no other one.
                for error in filter(None, ends):
                    raise error


async def _depart(fleet: Fleet, departure: Departure, patience: Patience, say: node_drain.Say) -> None:
    """Take one node out of both schedulers."""
    name, pods, jobs = departure.name, departure.kubernetes, departure.slurm
    drains = []
    if pods and pods.ready:
        drains.append(node_drain.drain_pods(fleet, pods, patience.seconds, departure.last, say))
    if jobs:
        drains.append(node_drain.drain_jobs(fleet, jobs, patience.seconds, patience.end_jobs, say))
    await asyncio.gather(*drains)
    if pods:
        await node_drain.delete_node(fleet, pods)
        say(f"{name} is out of Kubernetes")
    if words := await node_drain.forget(fleet, name):
        say(words)
    if jobs:
        say(f"{name} runs no more jobs of Slurm")
    for line in _afterwards(fleet, departure):
        say(line)


def _afterwards(fleet: Fleet, departure: Departure) -> Iterator[str]:
    """What is left to do by hand."""
    name, site = departure.name, f"-i {fleet.inventory}"
    if departure.refusal:
        yield (
            f"{name}: what install put on the host stays there: {departure.refusal}. Before it is used again,"
            f" install the machine anew, or put it into the inventory and run:"
            f" platformctl reset {site} --limit {name}"
        )
    if departure.listed:
        yield f"{name}: take it out of the inventory now; the next `platformctl install {site}` adds it again"
    elif departure.slurm:
        yield f"{name}: platformctl install {site} takes it out of Slurm's configuration"


def _refuse_needed(fleet: Fleet, name: str) -> None:
    """Refuse a host that the site cannot do without."""
    for group, what in _KEPT.items():
        if fleet.members(group) == (name,):
            raise _kept(fleet, name, what)


def _kept(fleet: Fleet, name: str, what: str) -> PlatformError:
    return PlatformError(
        f"{name} runs {what}, and no other host does, so it cannot be removed",
        where=str(fleet.inventory),
        next=f"to remove the whole site: platformctl reset -i {fleet.inventory}",
        code=ExitCode.REFUSED,
    )


def _host(fleet: Fleet, name: str, members: Membership, records: Records) -> Host | None:
    """The host of a node: by the inventory, by the name it was installed under, or by the node's address."""
    if name in fleet.hosts:
        return fleet.hosts[name]
    for host in fleet.hosts.values():
        if records.name(host.name) == name:
            return host
    nodes = (members.kubernetes.get(name), members.slurm.get(name))
    address = next((node.address for node in nodes if node and node.address), "")
    peer = fleet.first("kubernetes_node") or fleet.first("slurm_node") or fleet.first("all")
    if not address or peer is None:
        return None
    connection = replace(peer.connection, address=address, local=False)
    return Host(name, frozenset({"all"}), {**fleet.shared, "ansible_host": address}, connection)


def _refusal(fleet: Fleet, name: str, host: Host, reset: HostReset, records: Records) -> str:
    """Why nothing is undone on the host; empty if it is the one that was installed under this name."""
    if why := reset.down.get(host.name):
        return f"it {why}"
    recorded = records.name(host.name)
    if recorded != name and (recorded or host.name in fleet.guests) and host.name in reset.roles:
        return f"the host at {host.connection.address} was installed as {recorded or 'something else'}"
    return ""
