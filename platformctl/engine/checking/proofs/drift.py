"""What went wrong since the stages of a site were applied, and running them again mends.

Hosts are asked in the same ssh round trip as for their record, clusters at the same time; by the same checks
as `status`.
"""

from collections.abc import Iterable, Mapping

from platformctl.engine.checking.proofs import Wanted, all_of, asking, script
from platformctl.engine.checking.proofs.asking import Said
from platformctl.engine.checking.proofs.health_check import GLOBAL, Answer, Place, Scene, failing
from platformctl.engine.fleet import Fleet
from platformctl.engine.planning.record import Records
from platformctl.engine.remote import Reply

Drift = Mapping[tuple[str, str], tuple[str, ...]]
"""In words, by stage and host."""


def questions(fleet: Fleet, hosts: Iterable[str]) -> dict[str, str]:
    """The script for each host that has something to ask."""
    chosen = set(hosts)
    asked = asking.on_hosts(fleet, _wanted(fleet))
    return {name: script.build(asked[name]) for name in chosen if name in asked}


async def ask_clusters(fleet: Fleet) -> Mapping[Place, Said]:
    """What the clusters themselves say."""
    return await asking.ask_clusters(fleet, _wanted(fleet))


def read(fleet: Fleet, records: Records, clusters: Mapping[Place, Said]) -> Drift:
    """What all the answers say. records: with what the hosts answered to their questions."""
    wanted = _wanted(fleet)
    replies = {name: Reply(0, text, "") for name, text in records.said.items()}
    answers = asking.read(fleet, wanted, replies, {}, {}).answers
    # That a host does not answer is seen elsewhere, and is not the fault of what it is asked.
    answering = {place: said for place, said in clusters.items() if not said.down}
    answers += asking.read_clusters(wanted, answering, Scene(fleet, records.applied))
    found: dict[tuple[str, str], list[str]] = {}
    for answer in failing(answers):
        for host in _where(fleet, wanted, answer):
            words = f"{answer.check.name}: {answer.outcome.found}"
            found.setdefault((answer.stage, host), []).append(words)
    return {where: tuple(words) for where, words in found.items()}


def _where(fleet: Fleet, wanted: Iterable[Wanted], answer: Answer) -> tuple[str, ...]:
    """The hosts on which the stage is run again: all of the stage, if the answer concerns no single one."""
    if answer.subject != GLOBAL:
        return (answer.subject,)
    stage = next(each.stage for each in wanted if each.stage.name == answer.stage)
    return tuple(stage.targets(fleet))


def _wanted(fleet: Fleet) -> list[Wanted]:
    return [each for each in all_of(fleet) if each.check.quick and not each.check.harmful]
