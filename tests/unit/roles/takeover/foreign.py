"""A host that others have used: a folder for its files, and answers in place of its commands."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.takeover import host  # type: ignore[import-not-found]

import tests.ansible_files  # noqa: F401 - finds the modules beside the playbooks

Answer = str | tuple[int, str, str] | Callable[[tuple[str, ...]], str | tuple[int, str, str]]


class Foreign:
    """answers: by the beginning of a command line, its output; asked: the command lines that came.

    real: programs that are run as they are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.real: set[str] = set()
        self.given: dict[str, str] = {}
        self.packages: dict[str, str] = {}
        self.services: dict[str, dict[str, str]] = {}

    def put(self, path: str, text: str = "theirs\n") -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def has(self, path: str) -> bool:
        return (self.root / path.lstrip("/")).exists()

    def service(self, unit: str, active: str = "active", enabled: str = "enabled", package: str = "") -> None:
        self.services[unit] = {
            "Id": unit,
            "LoadState": "loaded",
            "ActiveState": active,
            "UnitFileState": enabled,
            "FragmentPath": f"/usr/lib/systemd/system/{unit}" if package else f"/etc/systemd/system/{unit}",
            "package": package,
        }

    def run(
        self, *command: str, seconds: float = 20, environment: Mapping[str, str] | None = None, data: str = ""
    ) -> tuple[int, str, str]:
        line = " ".join(command)
        self.asked.append(line)
        self.given[line] = data
        for start, answer in self.answers.items():
            if line.startswith(start):
                found = answer(command) if callable(answer) else answer
                return (0, found, "") if isinstance(found, str) else found
        if command[0] in self.real:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        handler: Callable[[tuple[str, ...]], str] | None = getattr(
            self, f"_{command[0].replace('-', '_')}", None
        )
        return (0, handler(command), "") if handler else (127, "", f"{command[0]}: not found")

    def _systemctl(self, command: tuple[str, ...]) -> str:
        verb, unit = command[1], command[-1]
        if verb == "show":
            units = command[command.index("--") + 1 :]
            missing = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}
            blocks = [self.services.get(name, {"Id": name, **missing}) for name in units]
            return "\n\n".join(
                "\n".join(f"{key}={value}" for key, value in block.items()) for block in blocks
            )
        state = self.services.get(unit, {})
        if verb == "disable":
            state.update(UnitFileState="disabled", ActiveState="inactive")
        elif verb == "enable":
            state.update(UnitFileState="enabled")
        elif verb in ("start", "restart"):
            state.update(ActiveState="active")
        elif verb == "stop":
            state.update(ActiveState="inactive")
        return ""

    def _dpkg_query(self, command: tuple[str, ...]) -> str:
        if "--search" in command:
            owners = {entry["FragmentPath"]: entry["package"] for entry in self.services.values()}
            return "".join(f"{owners[path]}: {path}\n" for path in command if owners.get(path))
        if "Conffiles" in command[-1]:
            return ""
        return "".join(f"{name}\t{version}\tinstall\tinstalled\n" for name, version in self.packages.items())

    def _apt_mark(self, command: tuple[str, ...]) -> str:
        return ""

    def _ctr(self, command: tuple[str, ...]) -> str:
        return ""

    def _ip(self, command: tuple[str, ...]) -> str:
        return ""


def foreign(root: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    made = Foreign(root)
    monkeypatch.setattr(host, "ROOT", root)
    monkeypatch.setattr(host, "run", made.run)
    return made


def stage(
    name: str, packages: list[str] | None = None, ports: list[int] | None = None, **things: Any
) -> dict[str, Any]:
    """The claims of one stage."""
    return {"stage": name, "packages": packages or [], "ports": ports or [], "things": things}
