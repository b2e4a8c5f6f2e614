"""A MariaDB that others use: whether we may use it beside them, and what of ours is in it already."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.takeover import host

_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys", "test", "lost+found", "#innodb_redo")


def look(claim: dict[str, Any]) -> dict[str, Any]:
    """What the server has: `databases` of others, `ours` that would be used, or `denied` with its words."""
    database, account = str(claim.get("name", "")), str(claim.get("account", ""))
    question = (
        "SELECT CONCAT('d ', schema_name) FROM information_schema.schemata;"
        "SELECT CONCAT('a ', User) FROM mysql.user WHERE Host = 'localhost';"
    )
    environment = {"MYSQL_PWD": str(claim["password"])} if claim.get("password") else {}
    code, output, errors = host.run(
        "mariadb", "--batch", "--skip-column-names", environment=environment, data=question, seconds=10
    )
    if code != 0:
        return {"denied": errors.strip() or f"mariadb ended with {code}"}
    rows = [line.split(" ", 1) for line in output.splitlines() if " " in line]
    names = [name for kind, name in rows if kind == "d"]
    ours = [f"database {database}"] if database in names else []
    ours += [f"account {account}"] if ["a", account] in rows else []
    return {"databases": sorted(set(names) - {*_SYSTEM, database}), "ours": ours}


def folders(path: str = "/var/lib/mysql") -> list[str]:
    """Databases of others by their folders, for a server that does not run."""
    place = host.at(path)
    if not place.is_dir():
        return []
    return sorted(entry.name for entry in place.iterdir() if entry.is_dir() and entry.name not in _SYSTEM)
