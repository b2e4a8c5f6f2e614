"""Says on a host what its tasks of Ansible wait for. Runs there: `python3 -I -S -` with this file as input.

Prints JSON: `notes` are what our own modules have left in /run/platformctl/waiting (one file a process, with
stage, words and detail); `runs` are the programs that the modules run now with the locks that these wait for,
and the stage of each.
Standard library only, Python 3.9 or newer: it runs on foreign hosts.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

_NOTES = "/run/platformctl/waiting"
_LONGEST = 80
# They say nothing of what is going on: the script that called them does.
_DULL = ("sleep", "sh", "bash", "dash", "sudo", "flock")


def main() -> None:
    """Print what is found."""
    processes = _processes()
    sys.stdout.write(json.dumps({"notes": _notes(), "runs": _runs(processes)}) + "\n")


def _notes() -> list[dict[str, str]]:
    found = []
    for path in pathlib.Path(_NOTES).glob("[0-9]*"):
        try:
            note = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # it has just ended, or is just writing
        if note.get("words") and pathlib.Path("/proc", path.name).exists():
            found.append(note)
    return found


def _processes() -> dict[int, dict[str, Any]]:
    """Parent and arguments of every process, by its id."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            continue  # it has just ended
        found[int(folder.name)] = {"parent": parent, "arguments": [word for word in arguments if word]}
    return found


def _runs(processes: dict[int, dict[str, Any]]) -> list[dict[str, str]]:
    """What each module of Ansible runs now, the innermost program that says something."""
    found = set()
    for number, process in processes.items():
        if _is_module(process["arguments"]):
            chain = _chain(number, processes)
            named = [pid for pid in chain if _name(_words(processes[pid])[0]) not in _DULL]
            if chain:
                words = _shown(processes[(named or chain)[-1]])
                found.add((_stage(number), f"runs {words}{_lock(chain, processes)}"))
    return [{"stage": stage, "words": words} for stage, words in sorted(found)]


def _stage(number: int) -> str:
    """The stage that started a process, from its environment; empty if it does not say."""
    try:
        environment = pathlib.Path("/proc", str(number), "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    mark = b"PLATFORMCTL_STAGE="
    return next((line[len(mark) :].decode() for line in environment if line.startswith(mark)), "")


def _is_module(arguments: list[str]) -> bool:
    """Ansible gives a module to an interpreter on standard input, or in a file of its own."""
    if not arguments or not re.fullmatch(r"python3?(\.\d+)?", _name(arguments[0])):
        return False
    return len(arguments) == 1 or "AnsiballZ_" in arguments[1]


def _chain(number: int, processes: dict[int, dict[str, Any]]) -> list[int]:
    """The processes below one, each the newest child of the one before."""
    chain: list[int] = []
    while children := [pid for pid, process in processes.items() if process["parent"] == number]:
        number = max(children)
        chain.append(number)
    return chain


def _words(process: dict[str, Any]) -> list[str]:
    """The arguments; a script by its own name, and without the interpreter."""
    words = process["arguments"] or ["a program"]
    if _name(words[0]) in ("sh", "bash", "dash") and len(words) > 1 and words[1].startswith("/"):
        return words[1:]
    return words


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _shown(process: dict[str, Any]) -> str:
    words = _words(process)
    text = " ".join([_name(words[0]), *words[1:]]).replace("\n", " ")
    if _name(words[0]) in _DULL and "-c" in words:
        return "a script"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _lock(chain: list[int], processes: dict[int, dict[str, Any]]) -> str:
    """Which program holds the lock that one of these processes waits for, if it does."""
    holder = ""
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "->" not in words:
            holder = words[4]
        elif int(words[5]) in chain and holder.isdigit():
            process = processes.get(int(holder))
            name = _shown(process) if process else "a program"
            return f", which waits for a lock of {name} (process {holder})"
    return ""


if __name__ == "__main__":
    main()
