"""Asks health checks on hosts, all at once, and reads what they answer."""

import asyncio
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from platformctl.engine import remote
from platformctl.engine.checking.proofs import Wanted, script
from platformctl.engine.checking.proofs.health_check import GLOBAL, Answer, HealthCheck, Place, Scene
from platformctl.engine.checking.proofs.script import Answers, Question
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.engine.remote import Reply
from platformctl.engine.stages import Stage

# Where a question about a whole cluster is asked, its own stage must be applied.
_GROUNDS = {Place.KUBERNETES: "kubernetes_control_plane", Place.SLURM: "slurm_controller"}
# Beyond the time that a script gives its questions.
_MARGIN_SECONDS = 5


@dataclass
class Round:
    """What one round of questions brought.

    down: why hosts did not answer. damaged: hosts whose record cannot be read, so what they have is unknown.
    applied: stages that ended well, by host. away: those of them that are out of service, as the host belongs
    to the other scheduler. clusters: what clusters said.
    """

    answers: list[Answer] = field(default_factory=list)
    down: dict[str, Reply] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    applied: dict[str, Collection[str]] = field(default_factory=dict)
    away: dict[str, Collection[str]] = field(default_factory=dict)
    clusters: dict[Place, "Said"] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """What was said about a cluster at one place. answers: exit status and output, by the question's text.

    where: its name for people. down: why it did not answer.
    """

    where: str
    answers: Mapping[str, tuple[int, str]]
    down: Reply | None = None


Applied = Mapping[str, Collection[str]]


async def ask(
    fleet: Fleet,
    wanted: Sequence[Wanted],
    hosts: Iterable[str] = (),
    known: Applied | None = None,
    assumed: Applied | None = None,
    at_most: float | None = None,
) -> Round:
    """Ask all of this at once. hosts: more hosts that are asked only what is applied there.

    known: stages that ended well, by host, where that was read before. assumed: stages that count as applied
    on a host, because they have just run there. at_most: seconds that a host has to answer.
    """
    known, assumed = known or {}, assumed or {}
    questions = on_hosts(fleet, wanted)
    names = dict.fromkeys([*questions, *hosts, *_peers(fleet, wanted, known)])
    given = await _sources(fleet, wanted, questions)
    texts = {
        name: script.build(questions.get(name, ()), assumed.get(name, ()), given.get(name, ""))
        for name in names
        if name in fleet.hosts
    }
    seconds = {name: _longest(questions.get(name, ())) for name in texts}

    async def one(host: Host) -> tuple[str, Reply]:
        limit = at_most or seconds[host.name] + _MARGIN_SECONDS
        return host.name, await remote.run(host.connection, texts[host.name], seconds=limit)

    replies, clusters = await asyncio.gather(
        remote.together(one(fleet.hosts[name]) for name in texts), ask_clusters(fleet, wanted, assumed)
    )
    round_ = read(fleet, wanted, dict(replies), known, assumed)
    round_.clusters = clusters
    round_.answers += read_clusters(wanted, clusters, Scene(fleet, round_.applied))
    return round_


async def ask_clusters(
    fleet: Fleet, wanted: Sequence[Wanted], assumed: Applied | None = None
) -> dict[Place, Said]:
    """Ask what concerns whole clusters, and not single hosts."""
    kubernetes, slurm = await asyncio.gather(
        _kubernetes(fleet, _texts(wanted, Place.KUBERNETES), assumed or {}),
        _slurm(fleet, _texts(wanted, Place.SLURM), assumed or {}),
    )
    found = {Place.KUBERNETES: kubernetes, Place.SLURM: slurm}
    return {place: said for place, said in found.items() if said}


def read_clusters(wanted: Sequence[Wanted], clusters: Mapping[Place, Said], scene: Scene) -> list[Answer]:
    """The answers in what clusters said."""
    return [
        answer for place, said in clusters.items() for answer in _read_cluster(wanted, place, said, scene)
    ]


def _texts(wanted: Iterable[Wanted], place: Place) -> dict[str, int]:
    """The questions of a place, each once, with their seconds."""
    return {each.check.question: each.check.seconds for each in wanted if each.check.place is place}


def on_hosts(fleet: Fleet, wanted: Iterable[Wanted]) -> dict[str, list[Question]]:
    """The questions to each host itself."""
    questions: dict[str, list[Question]] = {}
    for each in wanted:
        for name in each.hosts if each.check.place is Place.HOST else ():
            host = fleet.hosts.get(name)
            text = each.check.script(fleet, host) if host else ""
            if host and text:
                stages = (_gate(fleet, each, host), *each.check.after)
                question = Question(key(each.stage, each.check), stages, text, each.check.seconds)
                questions.setdefault(name, []).append(question)
    return questions


def key(stage: Stage, check: HealthCheck) -> str:
    """The name of a question in a script."""
    return f"{stage.name}.{re.sub('[^a-z]+', '-', check.name.lower())}"


def _gate(fleet: Fleet, each: Wanted, host: Host) -> str:
    """The stage that must be applied on the host; a group is named like the stage that makes its hosts."""
    if host.name in each.stage.targets(fleet):
        return each.stage.name
    return next(group for group in (each.stage.group, *each.check.groups) if group in host.groups)


def read(
    fleet: Fleet, wanted: Sequence[Wanted], replies: Mapping[str, Reply], known: Applied, assumed: Applied
) -> Round:
    """The round that the replies of hosts make."""
    round_ = Round()
    said: dict[str, Answers] = {}
    for name, reply in replies.items():
        if reply.code != 0:
            round_.down[name] = reply
        else:
            said[name] = script.parse(reply.out)
            round_.damaged |= {name} if said[name].damaged else set()
    round_.applied = {
        **known,
        **{name: answers.applied for name, answers in said.items()},
    }
    for name, stages in assumed.items():
        round_.applied[name] = {*round_.applied.get(name, ()), *stages}
    round_.away = {name: answers.away for name, answers in said.items() if answers.away}
    for name, stages in round_.away.items():
        round_.applied[name] = set(round_.applied[name]) - set(stages)
    scene = Scene(fleet, round_.applied)
    for each in wanted:
        if each.check.place is Place.HOST and _begun(scene, each.stage):
            for name in each.hosts:
                if name in said:
                    round_.answers += _answers(scene, each, name, said[name])
    return round_


def _answers(scene: Scene, each: Wanted, name: str, said: Answers) -> list[Answer]:
    """What a host's answer to one check says. A question that was due and has no answer is not fine."""
    host = scene.fleet.hosts[name]
    found = said.said.get(key(each.stage, each.check))
    if not found:
        due = all(scene.has(name, stage) for stage in (_gate(scene.fleet, each, host), *each.check.after))
        if said.simulated or not due or not each.check.script(scene.fleet, host):
            return []
        found = (1, "the host gave no answer to this question")
    outcomes = each.check.read(scene, name, *found)
    return [Answer(each.stage.name, each.check, subject, outcome) for subject, outcome in outcomes.items()]


def _begun(scene: Scene, stage: Stage) -> bool:
    """Whether the stage is applied somewhere: before that there is nothing to prove."""
    keepers = {stage.recorded_on(scene.fleet, host) for host in stage.targets(scene.fleet)}
    return keepers == {""} or any(scene.has(keeper, stage.name) for keeper in keepers)


def _peers(fleet: Fleet, wanted: Iterable[Wanted], known: Applied) -> list[str]:
    """Hosts that answers are about, and of which it is not known what is applied there."""
    found = [
        peer.name
        for each in wanted
        for name in each.hosts
        if name in fleet.hosts
        for peer in each.check.peers(fleet, fleet.hosts[name])
    ]
    return [name for name in dict.fromkeys(found) if name not in known]


async def _sources(
    fleet: Fleet, wanted: Iterable[Wanted], questions: Mapping[str, Sequence[Question]]
) -> dict[str, str]:
    """What the scripts of hosts get as $given: the output of a script on the first host of the group."""
    given: dict[str, str] = {}
    for each in wanted:
        first = fleet.first(each.stage.group) if each.check.source else None
        if first is not None:
            reply = await remote.run(first.connection, each.check.source, seconds=each.check.seconds)
            text = f"given={shlex.quote(reply.out.strip())}\nexport given\n"
            given |= {name: text for name in each.hosts if name in questions}
    return given


def _longest(questions: Sequence[Question]) -> int:
    return max((question.seconds for question in questions), default=1)


async def _kubernetes(fleet: Fleet, questions: Mapping[str, int], assumed: Applied) -> Said | None:
    async with access.kubectl(fleet) as kubectl:
        if kubectl is None or not questions:
            return None
        texts = {f"{kubectl.function(seconds=10)}\n{text}": text for text in questions}
        seconds = {text: questions[bare] for text, bare in texts.items()}
        stages = () if fleet.foreign_cluster else (_GROUNDS[Place.KUBERNETES],)
        said = await _said(kubectl.connection, kubectl.where, seconds, stages, assumed)
        return Said(said.where, {texts[text]: answer for text, answer in said.answers.items()}, said.down)


async def _slurm(fleet: Fleet, questions: Mapping[str, int], assumed: Applied) -> Said | None:
    controller = fleet.first("slurm_controller")
    if controller is None or not questions:
        return None
    stages = (_GROUNDS[Place.SLURM],)
    return await _said(controller.connection, controller.name, questions, stages, assumed)


async def _said(
    connection: Connection,
    where: str,
    questions: Mapping[str, int],
    stages: tuple[str, ...],
    assumed: Applied,
) -> Said:
    """Ask questions (texts with their seconds) of one place."""
    asked = [
        Question(f"q{number}", stages, text, seconds)
        for number, (text, seconds) in enumerate(questions.items())
    ]
    text = script.build(asked, assumed.get(where, ()), anywhere=not stages)
    reply = await remote.run(connection, text, seconds=max(questions.values()) + _MARGIN_SECONDS)
    if reply.code != 0:
        return Said(where, {}, reply)
    found = script.parse(reply.out).said
    return Said(where, {each.script: found[each.key] for each in asked if each.key in found})


def _read_cluster(wanted: Iterable[Wanted], place: Place, said: Said, scene: Scene) -> list[Answer]:
    """What one place's answers say about the hosts that are wanted, and about the whole."""
    answers = []
    for each in wanted:
        if each.check.place is not place or not _begun(scene, each.stage):
            continue
        found = said.answers.get(each.check.question)
        if not found and said.down:
            found = (said.down.code, said.down.message)
        elif not found and (scene.fleet.foreign_cluster or scene.has(said.where, _GROUNDS[place])):
            found = (1, "no answer to this question")
        outcomes = each.check.read(scene, said.where, *found) if found else {}
        answers += [
            Answer(each.stage.name, each.check, subject, outcome)
            for subject, outcome in outcomes.items()
            if subject == GLOBAL or subject in each.hosts
        ]
    return answers
