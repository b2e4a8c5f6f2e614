"""What lies between a host's users and groups and those of the site: decided here, done by posix_accounts.

Preflight runs the same decisions on hosts and changes nothing, so it names what a run would refuse or change.
Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.accounts.database import Database, Record, made_by_sysusers, processes, shown

_NO_LOGIN = frozenset({"nologin", "false", "true"})
# The first day of 1970: whoever it is, the account has expired since then.
_EXPIRED = "1"
_FIELDS = ("uid", "gid", "comment", "home", "shell")


def _present(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry.get("state", "present") == "present"]


class AccountPlan:
    """The host as it is, the site as it should be, and the steps between.

    params: those of posix_accounts. etc: the folder of passwd, group and shadow.
    """

    def __init__(self, params: Mapping[str, Any], etc: pathlib.Path = pathlib.Path("/etc")) -> None:
        self._etc = etc
        self.home, self.shell = params["home"].rstrip("/"), params["shell"]
        self.operator = params.get("operator") or ""
        self.accepted = frozenset(params.get("accepted") or ())
        reset = params.get("reset", False)
        self.accounts = [] if reset else _present(params["accounts"])
        named = [] if reset else _present(params["groups"])
        self.disabled = frozenset(() if reset else params.get("disabled") or ())
        self.database = Database(etc)
        self.record = Record(pathlib.Path(params["record"]))
        self.shared = {group["name"]: int(group["gid"]) for group in named}
        own = {account["name"]: int(account["uid"]) for account in self.accounts}
        self.groups = {**self.shared, **own}
        if not self.record.there:
            self._adopt(params["accounts"], params["groups"])
        touched = dict.fromkeys([*self.record.users, *self.record.joined])
        self.leaving = [name for name in touched if name not in own]
        self.leaving_groups = [name for name in self.record.groups if name not in self.groups]
        self.made = {name for name, before in self.record.users.items() if before is None}
        self.made_groups = {name for name, before in self.record.groups.items() if before is None}
        uids = {entry.pw_uid for entry in map(self.database.users.get, self._busy_matters()) if entry}
        self.running = processes(uids)

    def _adopt(self, accounts: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]]) -> None:
        """Take for ours what earlier versions, which kept no record, have certainly made."""
        for account in accounts:
            name = account["name"]
            have = self.database.users.get(name)
            same = have and (have.pw_uid, have.pw_dir) == (int(account["uid"]), f"{self.home}/{name}")
            if same and made_by_sysusers(name, self._etc):
                self.record.users[name] = None
                self.record.groups[name] = None
                defined = {group["name"] for group in groups}
                self.record.groups.update(dict.fromkeys(defined & self.database.memberships(name)))

    def _busy_matters(self) -> list[str]:
        """Users who leave, and users whose uid would change: their processes stand in the way."""
        return [*self.leaving, *(a["name"] for a in self.accounts if "uid" in self._differences(a))]

    def conflicts(self) -> list[str]:
        """What cannot be solved without guessing: numbers that others have, groups that nobody defines."""
        found = []
        for account in self.accounts:
            found += self._conflicts_of_user(account)
        going = {*self.leaving, *self.leaving_groups} & (self.made | self.made_groups)
        for name, gid in self.groups.items():
            elsewhere = self.database.group_elsewhere(name)
            if elsewhere and elsewhere.gr_gid != gid:
                found.append(
                    f"group {name} comes from {self._source()} with gid {elsewhere.gr_gid}, not {gid}"
                )
            found += [
                f"gid {gid} of {name} belongs to {holder} on this host"
                for holder in sorted(self.database.holders_of_gid(gid) - {name} - going)
            ]
        if self.operator in self.made and self.operator in self.leaving:
            found.append(f"{self.operator} would be removed, but platformctl logs in as {self.operator}")
        return found

    def _conflicts_of_user(self, account: Mapping[str, Any]) -> list[str]:
        name, uid = account["name"], int(account["uid"])
        going = set(self.leaving) & self.made
        found = [
            f"uid {uid} of {name} belongs to {holder} on this host"
            for holder in sorted(self.database.holders_of_uid(uid) - {name} - going)
        ]
        found += [
            f"{name} is in group {group}, which does not exist"
            for group in account.get("groups") or []
            if group not in self.groups
            and group not in self.database.groups
            and not self.database.group_elsewhere(group)
        ]
        elsewhere = self.database.user_elsewhere(name)
        if elsewhere and (elsewhere.pw_uid, elsewhere.pw_gid) != (uid, uid):
            numbers = f"uid {elsewhere.pw_uid} and gid {elsewhere.pw_gid}"
            found.append(f"{name} comes from {self._source()} with {numbers}, the inventory says {uid}")
        have, differing = self.database.users.get(name), self._differences(account)
        if have and "uid" in differing and self.running.get(have.pw_uid):
            busy = shown(self.running[have.pw_uid])
            found.append(
                f"the uid of {name} cannot become {uid} while {name} (uid {have.pw_uid}) runs {busy}"
            )
        shell = str(differing.get("shell", ""))
        if name == self.operator and shell.rpartition("/")[2] in _NO_LOGIN:
            found.append(f"{name} would get the shell {shell}, but platformctl logs in as {name}")
        return found

    def _source(self) -> str:
        return ", ".join(self.database.sources)

    def changes(self) -> dict[str, list[str]]:
        """The changes of what was there before and was never accepted, in words, by the name to accept."""
        found: dict[str, list[str]] = {}
        for account in self.accounts:
            name = account["name"]
            if name not in self.database.users or name in self.record.users:
                continue
            have = self.database.users[name]
            words = [
                f"{field} {current!r} becomes {account_value!r}{self._note(field, current)}"
                for field, current, account_value in self._compared(account)
                if current != account_value
            ]
            gid, own = self.groups[name], self.database.groups.get(name)
            if own and own.gr_gid != gid:
                words.append(f"its group's gid {own.gr_gid} becomes {gid}")
            words += [f"joins group {group}" for group in self.missing_groups(account)]
            words += [f"leaves group {group}" for group in self.surplus_groups(account)]
            if words:
                found[f"account:{name}"] = [f"{name} (uid {have.pw_uid}) is there already", *words]
        for name, gid in self.groups.items():
            entry = self.database.groups.get(name)
            taken = name in self.record.groups or name in self.record.users or f"account:{name}" in found
            if entry and entry.gr_gid != gid and not taken:
                found[f"group:{name}"] = [
                    f"group {name} is there already",
                    f"gid {entry.gr_gid} becomes {gid}; its files keep the number {entry.gr_gid}",
                ]
        return found

    def unaccepted(self) -> dict[str, list[str]]:
        """The changes that nobody has accepted yet."""
        return {name: words for name, words in self.changes().items() if name not in self.accepted}

    @staticmethod
    def _note(field: str, current: object) -> str:
        if field == "home" and pathlib.Path(str(current)).is_dir():
            return " (the files in the old one stay there)"
        return " (files outside of the home keep the old number)" if field == "uid" else ""

    def wanted(self, account: Mapping[str, Any]) -> tuple[int, int, str, str, str]:
        """Return the passwd fields of an account: uid, gid, comment, home, shell."""
        name, uid = account["name"], int(account["uid"])
        return (
            uid,
            uid,
            account.get("full_name") or "",
            f"{self.home}/{name}",
            account.get("shell") or self.shell,
        )

    def _compared(self, account: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Field, value on the host and value of the site, of an account that the host has."""
        have = self.database.users.get(account["name"])
        if not have:
            return []
        current = (have.pw_uid, have.pw_gid, have.pw_gecos, have.pw_dir, have.pw_shell)
        rows = zip(_FIELDS, current, self.wanted(account))  # noqa: B905 - Python 3.9
        # An account that was there keeps what the inventory does not say.
        made = self.record.users.get(account["name"], account) is None
        said = {"comment": "full_name", "shell": "shell"}
        return [row for row in rows if made or row[0] not in said or account.get(said[row[0]])]

    def _differences(self, account: Mapping[str, Any]) -> dict[str, Any]:
        return {field: value for field, current, value in self._compared(account) if current != value}

    def creation(self) -> list[str]:
        """Return lines of sysusers.d(5) for all groups, users and memberships that are missing."""
        lines = [
            f"g {name} {gid}"
            for name, gid in self.groups.items()
            if name not in self.database.groups and not self.database.group_elsewhere(name)
        ]
        for account in self.accounts:
            name = account["name"]
            if self.database.user_elsewhere(name):
                continue
            uid, _, comment, home, shell = self.wanted(account)
            if name not in self.database.users:
                lines.append(f'u {name} {uid}:{uid} "{_escaped(comment)}" {home} {shell}')
            lines += [f"m {name} {group}" for group in self.missing_groups(account)]
        return lines

    def missing_groups(self, account: Mapping[str, Any]) -> list[str]:
        """Return the groups that a user should be in and is not."""
        name = account["name"]
        return sorted(set(account.get("groups") or ()) - self.database.memberships(name) - {name})

    def surplus_groups(self, account: Mapping[str, Any]) -> list[str]:
        """Return the groups that a user leaves: of the site's, or of those that platformctl gave the user."""
        name = account["name"]
        if name == self.operator:
            return []
        governed = {*self.shared, *self.record.joined.get(name, ())}
        return sorted((self.database.memberships(name) & governed) - set(account.get("groups") or ()))

    def commands(self) -> list[list[str]]:
        """Return the commands that change groups and users which exist and differ."""
        found = [
            ["groupmod", "--gid", str(gid), name]
            for name, gid in self.groups.items()
            if name in self.database.groups and self.database.groups[name].gr_gid != gid
        ]
        for account in self.accounts:
            name = account["name"]
            options = [
                word
                for field, value in self._differences(account).items()
                for word in (f"--{field}", str(value))
            ]
            found += [["usermod", *options, name]] if options else []
            found += [["gpasswd", "--delete", name, group] for group in self.surplus_groups(account)]
            if self.database.user_elsewhere(name):
                found += [["gpasswd", "--add", name, group] for group in self.missing_groups(account)]
        return found

    def expiries(self) -> list[list[str]]:
        """Return the commands that let accounts expire whose users are disabled, and others no longer."""
        names = [account["name"] for account in self.accounts]
        wanted = {name: _EXPIRED for name in names if name in self.disabled}
        enabled = [name for name in self.record.expired if name not in self.disabled]
        # Who leaves the site has no account any more by then.
        gone = self.made.intersection(self.leaving)
        staying = [name for name in enabled if name in self.database.users and name not in gone]
        wanted.update({name: self.record.expired[name] for name in staying})
        return [
            ["usermod", "--expiredate", day, name]
            for name, day in wanted.items()
            if day != self.database.expiry(name) and not self.database.user_elsewhere(name)
        ]

    @property
    def outsiders(self) -> list[str]:
        """The disabled users whom only a directory knows, so that no file of the host can stop them."""
        return [name for name in sorted(self.disabled) if self.database.user_elsewhere(name)]

    @property
    def moved_operator(self) -> tuple[pathlib.Path, pathlib.Path, int] | None:
        """The old and the new home, and the uid, of the user that Ansible logs in as, if its home changes."""
        for account in self.accounts:
            have, home = self.database.users.get(self.operator), self._differences(account).get("home")
            if account["name"] == self.operator and have and home:
                return pathlib.Path(have.pw_dir), pathlib.Path(home), have.pw_uid
        return None

    def busy(self) -> dict[str, list[str]]:
        """What users still run who are to be deleted, by name."""
        found = {}
        for name in self.leaving:
            entry = self.database.users.get(name) if name in self.made else None
            if entry and self.running.get(entry.pw_uid):
                found[name] = self.running[entry.pw_uid]
        return found

    def removals(self, kept: Iterable[str] = ()) -> list[list[str]]:
        """Return the commands that remove users and groups which platformctl made; files stay."""
        kept = set(kept)
        users = [name for name in self.leaving if name in self.made and name in self.database.users]
        commands = [["userdel", name] for name in users if name not in kept]
        primary = {
            (self.record.users.get(name) or {}).get("gid", entry.pw_gid)
            if name in self.leaving
            else entry.pw_gid
            for name, entry in self.database.users.items()
            if name not in users or name in kept
        }
        for name in self.leaving_groups:
            entry = self.database.groups.get(name)
            # userdel takes the user's own group along.
            if name in self.made_groups and entry and entry.gr_gid not in primary and name not in users:
                commands.append(["groupdel", name])
        return commands

    def restorations(self) -> list[list[str]]:
        """Return the commands that give accounts which were there before what the record says of them."""
        commands = []
        for name in self.leaving_groups:
            before, entry = self.record.groups[name], self.database.groups.get(name)
            if before and entry and entry.gr_gid != before["gid"]:
                commands.append(["groupmod", "--gid", str(before["gid"]), name])
        for name in self.leaving:
            if name not in self.made:
                commands += self._restoration(name, self.record.users.get(name) or {})
        return commands

    def _restoration(self, name: str, old: Mapping[str, Any]) -> list[list[str]]:
        """old: the recorded fields; empty for a user of a directory, who was only put into groups."""
        have, commands = self.database.users.get(name), []
        if have and old:
            current = (have.pw_uid, have.pw_gid, have.pw_gecos, have.pw_dir, have.pw_shell)
            options = [
                word
                for field, value in zip(_FIELDS, current)  # noqa: B905 - Python 3.9
                if value != old[field]
                for word in (f"--{field}", str(old[field]))
            ]
            commands += [["usermod", *options, name]] if options else []
        groups, before = self.database.memberships(name), set(old.get("groups", ()))
        joined = set(self.record.joined.get(name, ())) & groups - before
        lost = (before - groups) & self.database.groups.keys() if have else set()
        commands += [["gpasswd", "--delete", name, group] for group in sorted(joined)]
        return commands + [["gpasswd", "--add", name, group] for group in sorted(lost)]

    def note(self) -> None:
        """Take into the record what is about to be made or changed, as it is now."""
        for name in self.disabled:
            self.record.expired.setdefault(name, self.database.expiry(name))
        for account in self.accounts:
            name = account["name"]
            joining, there = self.missing_groups(account), name in self.database.users
            changing = self._differences(account) or joining or self.surplus_groups(account)
            if (changing or not there) and not self.database.user_elsewhere(name):
                self.record.note_user(name, self.database)
            if joining:
                self.record.joined[name] = sorted({*self.record.joined.get(name, ()), *joining})
        for name, gid in self.groups.items():
            entry = self.database.groups.get(name)
            if (not entry and not self.database.group_elsewhere(name)) or (entry and entry.gr_gid != gid):
                self.record.note_group(name, self.database)


def _escaped(comment: str) -> str:
    """A text for sysusers.d(5), where % and quotes have a meaning."""
    return comment.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')


def survey(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a run would find and do on this host, as data; changes nothing.

    params: those of posix_accounts; numbers: names of system users to tell the uid and gid of.
    """
    plan = AccountPlan(params)
    return {
        "conflicts": plan.conflicts(),
        "changes": plan.changes(),
        "leaving": [name for name in plan.leaving if name in plan.database.users],
        "kept": [name for name in plan.leaving if name not in plan.made],
        "busy": plan.busy(),
        "numbers": {name: plan.database.numbers(name) for name in params.get("numbers", ())},
        "taken": {
            str(uid): sorted(plan.database.holders_of_uid(int(uid))) for uid in params.get("asked_uids", ())
        },
    }
