"""Rules on users: names and numeric ids are unique, because files on the shared home have only numbers."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake, use_instead
from platformctl.site.rules.facts import Facts, Record
from platformctl.site.values import templated

_SYSTEM_GROUPS = (
    *("adm", "audio", "cdrom", "dialout", "disk", "games", "kvm", "plugdev", "render", "staff"),
    *("src", "sudo", "tape", "users", "video"),
)
# Debian's other groups; the inventory does not put users into them by name.
_CLOSED_GROUPS = (
    *("crontab", "dip", "fax", "floppy", "input", "irc", "kmem", "mail", "netdev", "nogroup", "operator"),
    *("sasl", "sgx", "shadow", "systemd-journal", "tty", "utmp", "uucp", "voice", "_ssh", "ssl-cert"),
    *("systemd-network", "systemd-resolve", "systemd-timesync", "polkitd"),
)
_SYSTEM_USERS = (
    *(
        "root",
        "daemon",
        "bin",
        "sys",
        "sync",
        "games",
        "man",
        "lp",
        "mail",
        "news",
        "proxy",
        "backup",
        "list",
    ),
    *("nobody", "sshd", "munge", "slurm", "slurmrestd", "mysql", "messagebus", "www-data", "_apt"),
)


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes of users and their groups."""
    groups = list(facts.present("users_groups"))
    accounts = list(facts.present("users_accounts"))
    yield from _once(groups, "name", "another group has this name")
    yield from _once(groups, "gid", "another group has this number")
    yield from _once(accounts, "name", "another user has this name")
    yield from _once(accounts, "uid", "another user has this number")
    yield from _own_groups(groups, accounts)
    yield from _memberships(groups, accounts)
    yield from _of_the_system(groups, accounts)
    yield from _disabled(facts, accounts)


def _disabled(facts: Facts, accounts: list[Record]) -> Iterator[Mistake]:
    """Only a user of the site can be disabled: a misspelt name would stop nobody."""
    setting = facts.shared("users_disabled")
    names = [name for account in accounts if (name := account.text("name"))]
    items = setting[1] if setting and isinstance(setting[1], list) else []
    for index, name in enumerate(items):
        if setting and isinstance(name, str) and not templated(name) and name not in names:
            remedy = use_instead(name, names, "remove it here: who is not in users_accounts has no access")
            yield setting[0].mistake(
                ("users_disabled", index), name, "is not a user of users_accounts", remedy
            )


def _of_the_system(groups: list[Record], accounts: list[Record]) -> Iterator[Mistake]:
    """Names of Debian's own users and groups: using one here would change its numeric id."""
    others = {*_SYSTEM_GROUPS, *_CLOSED_GROUPS}
    for account in accounts:
        if account.text("name") in _SYSTEM_USERS:
            yield account.mistake(("name",), "is a user of the operating system", "choose another name")
        elif account.text("name") in others:
            problem = "the user's own group has the name of a group of the operating system"
            yield account.mistake(("name",), problem, "choose another name")
    for group in groups:
        if group.text("name") in others.union(_SYSTEM_USERS):  # each of these has a group of its name
            yield group.mistake(("name",), "is a group of the operating system", "choose another name")


def _once(records: list[Record], key: str, problem: str) -> Iterator[Mistake]:
    seen: set[str | int] = set()
    for record in records:
        value = record.text(key) if key == "name" else record.number(key)
        if value is not None and value in seen:
            yield record.mistake((key,), problem, f"give each its own {key}")
        if value is not None:
            seen.add(value)


def _own_groups(groups: list[Record], accounts: list[Record]) -> Iterator[Mistake]:
    """Each user has a group of the same name and number."""
    names = {group.text("name") for group in groups}
    numbers = {group.number("gid") for group in groups}
    for account in accounts:
        if account.text("name") and account.text("name") in names:
            problem = "the user's own group has the name of a group in users_groups"
            yield account.mistake(("name",), problem, "rename the group or the user")
        if account.number("uid") and account.number("uid") in numbers:
            problem = "the user's own group has the number of a group in users_groups"
            yield account.mistake(("uid",), problem, "give the group another gid")


def _memberships(groups: list[Record], accounts: list[Record]) -> Iterator[Mistake]:
    names = [name for group in groups if (name := group.text("name"))]
    for account in accounts:
        for index, name in account.texts("groups"):
            if name not in names and name not in _SYSTEM_GROUPS:
                remedy = use_instead(name, names, "add it to users_groups")
                yield account.mistake(("groups", index), "is not a group of users_groups", remedy)
