"""Rules on runtime classes: each once, for nodes that there are, and none in place of the usual one."""

from collections.abc import Iterator

from platformctl.site import runtimes
from platformctl.site.mistakes import Mistake, use_instead
from platformctl.site.rules.facts import Facts, Record

_LONGEST_LABEL = 63


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of runtime classes."""
    records = list(facts.records(runtimes.VARIABLE))
    sections: dict[str, tuple[object, ...]] = {}
    names: set[str] = set()
    for record in records:
        name, kind = record.text("name"), record.content.get("kind", runtimes.OTHER)
        if name and name in names:
            yield record.mistake(("name",), "another class has this name", "give each its own name")
        if name and len(name) > _LONGEST_LABEL:
            problem = f"is longer than {_LONGEST_LABEL} characters, which a label of nodes cannot be"
            yield record.mistake(("name",), problem, "use a shorter one")
        names.add(name or "")
        yield from _nodes(facts, record)
        if kind == runtimes.OTHER and not record.content.get("programs"):
            problem = "says nothing of what a node must have, and preflight could not look for it"
            yield record.mistake((), problem, "name its programs, or choose a kind")
        yield from _handler(record, sections)


def _nodes(facts: Facts, record: Record) -> Iterator[Mistake]:
    """A group without nodes is no mistake: the class is refused to pods until there are some."""
    hosts = facts.members(runtimes.NODE_GROUP)
    for index, word in record.texts("nodes"):
        if word in hosts or word in facts.inventory.groups:
            continue
        groups = (name for name in facts.inventory.groups if set(facts.members(name)) & set(hosts))
        remedy = use_instead(word, (*hosts, *groups), "name hosts of kubernetes_node, or groups of them")
        problem = f"{word} is neither a host of kubernetes_node nor a group"
        yield record.mistake(("nodes", index), problem, remedy)


def _handler(record: Record, sections: dict[str, tuple[object, ...]]) -> Iterator[Mistake]:
    """One handler is one section of containerd's file."""
    rows = runtimes.table({runtimes.VARIABLE: [record.content]})
    for row in rows:
        place = ("handler",) if "handler" in record.content else ()
        if row.handler == runtimes.DEFAULT and not row.kind.namespaces:
            problem = "is the handler of all pods without a class, which platformctl sets up itself"
            yield record.mistake(place, problem, "give it another handler")
            continue
        section = (row.type, sorted(row.options.items(), key=str))
        if sections.setdefault(row.handler, section) != section:
            problem = f"another class has handler {row.handler}, with another type or other options"
            yield record.mistake(place, problem, "write the same for both, or give it another handler")
