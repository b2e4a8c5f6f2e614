"""The molecule scenarios: lists them, knows what each one tests, and runs them for a site.

A scenario is a folder of `molecule/` with a molecule.yml. Its converge.yml imports playbooks of stages, so
the stage table says which roles it tests. A scenario without a converge.yml is a variant of another one.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import yaml

from platformctl import surroundings
from platformctl.engine.planning.digest import with_included
from platformctl.engine.stages import STAGES
from platformctl.errors import ExitCode, PlatformError

# Relative to the data folder; molecule finds the file by itself at the top of a checkout.
CONFIG = ".config/molecule/config.yml"
_ROLES = {stage.name: stage.roles for stage in STAGES}
_SHARED = (
    "molecule/lab",
    ".config/molecule",
    "playbooks/library",
    "playbooks/module_utils",
    "playbooks/vars_plugins",
)


@dataclass(frozen=True)
class Scenario:
    """name: as in `molecule test -s NAME`. sources: files and folders that it is made of, relative."""

    name: str
    sources: tuple[str, ...]

    def touched(self, path: str) -> bool:
        """Whether a changed file is one of its sources, or in one."""
        return any(path == source or path.startswith(f"{source}/") for source in self.sources)


def scenarios(data: Path) -> tuple[Scenario, ...]:
    """All scenarios of the data folder, by name."""
    folders = sorted(path.parent for path in (data / "molecule").glob("*/molecule.yml"))
    return tuple(Scenario(folder.name, _sources(folder, data)) for folder in folders)


def touched(scenarios: Iterable[Scenario], changed: Iterable[str]) -> tuple[Scenario, ...]:
    """The scenarios that changed files are sources of."""
    paths = list(changed)
    return tuple(scenario for scenario in scenarios if any(scenario.touched(path) for path in paths))


def concerned(scenarios: Iterable[Scenario], data: Path, revision: str) -> tuple[Scenario, ...]:
    """The scenarios that changes since a revision concern.

    PlatformError: there is none, so nothing would be tested; or git fails.
    """
    concerned_ones = touched(scenarios, changed_since(data, revision))
    if not concerned_ones:
        raise PlatformError(
            f"no scenario is concerned by what changed since {revision}",
            where=str(data),
            next="platformctl verify -i SITE --molecule, for all scenarios",
            code=ExitCode.INVALID,
        )
    return concerned_ones


def chosen(scenarios: Iterable[Scenario], names: Iterable[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names, all when none is given. PlatformError: a name is unknown."""
    known = {scenario.name: scenario for scenario in scenarios}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PlatformError(
            f"there is no scenario {', '.join(unknown)}",
            where=f"scenarios: {', '.join(known)}",
            next="choose from them: platformctl verify -i SITE --molecule --scenario NAME",
            code=ExitCode.INVALID,
        )
    return tuple(known[name] for name in names) or tuple(known.values())


def changed_since(data: Path, revision: str) -> list[str]:
    """Files of the checkout that differ from a revision, also those not committed yet; relative paths.

    PlatformError: git fails.
    """
    tracked = ["git", "diff", "--name-only", "--relative", revision, "--"]
    new = ["git", "ls-files", "--others", "--exclude-standard"]
    changed: list[str] = []
    for command in (tracked, new):
        done = subprocess.run(command, cwd=data, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlatformError(
                f"git cannot tell what changed: {done.stderr.strip()}",
                where=str(data),
                next="name another revision; for all scenarios: platformctl verify -i SITE --molecule",
                code=ExitCode.INVALID,
            )
        changed += done.stdout.splitlines()
    return changed


def prove(scenario: Scenario, data: Path, inventory: Path, said: TextIO) -> int:
    """Run `molecule test` of a scenario on a lab made for the inventory; returns molecule's exit code.

    said: where its output goes. PlatformError: molecule is not installed.
    """
    program = Path(sys.executable).with_name("molecule")
    if not program.is_file():
        raise PlatformError(
            "molecule is not installed beside platformctl",
            where=str(program),
            next="pip install molecule; with pipx: pipx inject research-platformctl molecule",
        )
    done = subprocess.run(
        [program, "--base-config", data / CONFIG, "test", "--scenario-name", scenario.name],
        cwd=data,
        env={
            **surroundings.outward(),
            # molecule looks for Ansible's programs there.
            "PATH": f"{program.parent}:{surroundings.children()['PATH']}",
            "MOLECULE_INVENTORY": str(inventory.resolve()),
        },
        stdout=said,
        check=False,
    )
    return done.returncode


def _sources(folder: Path, data: Path) -> tuple[str, ...]:
    """The files and folders whose change can change the outcome of the scenario."""
    playbooks = (yaml.safe_load((folder / "molecule.yml").read_text()) or {}).get("provisioner", {})
    used = {(folder / name).resolve() for name in (playbooks.get("playbooks") or {}).values()}
    own = [path for path in (folder / "prepare.yml", folder / "converge.yml") if path.is_file()]
    stages = [stage for path in (*own, *used) for stage in _imported(path)]
    roles = with_included([role for stage in stages for role in _ROLES[stage]], data / "roles")
    return (
        f"molecule/{folder.name}",
        *sorted({f"molecule/{path.parent.name}" for path in used}),
        *_SHARED,
        *(f"playbooks/{stage}.yml" for stage in stages),
        *(f"roles/{role}" for role in roles),
    )


def _imported(path: Path) -> list[str]:
    """Stages whose playbooks a playbook imports."""
    plays = yaml.safe_load(path.read_text()) or []
    return [
        Path(play["ansible.builtin.import_playbook"]).stem
        for play in plays
        if "ansible.builtin.import_playbook" in play
    ]
