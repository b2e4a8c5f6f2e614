"""Rules on Slurm: partitions of what exists, and Secrets that nobody else can read."""

from collections.abc import Iterator

from platformctl.site.mistakes import Key, Mistake, use_instead
from platformctl.site.rules.facts import Facts, Record


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of partitions, and of Secrets in jobs."""
    yield from _secrets(facts)
    partitions = list(facts.records("slurm_partitions"))
    names: set[str] = set()
    defaults = 0
    for partition in partitions:
        name = partition.text("name")
        if name and name in names:
            yield partition.mistake(("name",), "another partition has this name", "give each its own name")
        names.add(name or "")
        defaults += partition.content.get("default") is True
        if defaults > 1 and partition.content.get("default") is True:
            yield partition.mistake(("default",), "another partition is the default too", "leave one default")
        yield from _nodes(facts, partition)
        yield from _allowed(facts, partition)


def _secrets(facts: Facts) -> Iterator[Mistake]:
    """A Secret in the environment of a job must not be kept in the accounting."""
    decided, options = facts.shared("slurm_job_options"), facts.shared("slurm_controller_options")
    if not decided or not isinstance(decided[1], dict) or decided[1].get("secrets") is not True:
        return
    if not options or not isinstance(options[1], dict):
        return
    for name, value in options[1].items():
        flags = [flag.strip().lower() for flag in str(value).split(",")]
        if str(name).lower() == "accountingstoreflags" and "job_env" in flags:
            problem = (
                "job_env keeps the environments of jobs in the accounting, where operators read them, and "
                "slurm_job_options puts Secrets there"
            )
            remedy = "leave out job_env, or secrets of slurm_job_options"
            yield options[0].mistake(("slurm_controller_options", name), value, problem, remedy)


def _nodes(facts: Facts, partition: Record) -> Iterator[Mistake]:
    nodes = facts.members("slurm_node")
    single = partition.text("nodes")
    words: list[tuple[tuple[Key, ...], str]] = [
        (("nodes", index), word) for index, word in partition.texts("nodes")
    ]
    if single:
        words = [(("nodes",), single)]
    if not partition.content.get("nodes", "all"):
        problem = f"partition {partition.text('name')} has no nodes, which slurmctld does not start with"
        yield partition.mistake(("nodes",), problem, "name some, or remove the line for all of them")
    for keys, word in words:
        if word == "all" or word in nodes:
            continue
        if word in facts.inventory.groups:
            if not set(facts.members(word)) & set(nodes):
                problem = f"no host of group {word} is in slurm_node"
                yield partition.mistake(keys, problem, "put some into slurm_node, or name another group")
            continue
        groups = (name for name in facts.inventory.groups if set(facts.members(name)) & set(nodes))
        remedy = use_instead(
            word, (*nodes, *groups), "use all, or a list of hosts of slurm_node and groups of them"
        )
        yield partition.mistake(keys, f"{word} is neither a host of slurm_node nor a group", remedy)


def _allowed(facts: Facts, partition: Record) -> Iterator[Mistake]:
    default = facts.shared_text("slurm_default_account")
    accounts = {
        account for user in facts.present("users_accounts") if (account := user.text("slurm_account"))
    }
    accounts.add(default[1] if default else "users")
    owners = (*facts.present("users_groups"), *facts.present("users_accounts"))
    groups = {name for record in owners if (name := record.text("name"))}
    for key, known, owner in (
        ("allow_accounts", accounts, "slurm_account of any user"),
        ("allow_groups", groups, "group of users_groups"),
    ):
        for index, name in partition.texts(key):
            if name not in known:
                remedy = use_instead(name, known, f"use one of {', '.join(sorted(known))}")
                yield partition.mistake((key, index), f"is not the {owner}", remedy)
