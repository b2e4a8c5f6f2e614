"""`make mutation`: changes the code in small ways, one at a time, and tells which of them no test notices.

mutmut makes the mutants, finds which tests reach which function, and runs those alone. It works in a copy of
the checkout, so that nothing here is ever a mutant.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

# What is pure, or decides; the rest is tested against what it talks to, which takes too long for each mutant.
_LISTED = {
    "platformctl/jobs": ("*",),
    "platformctl/site": ("*",),
    "platformctl/engine": ("graph.py",),
    "platformctl/engine/planning": ("plan.py", "impact.py", "holding.py", "shown.py", "digest.py"),
    "platformctl/router/job": (
        *("submission.py", "cache.py", "sweep.py", "ending.py", "reconcile.py", "status.py", "resource.py"),
    ),
    "platformctl/router/kubernetes": ("states.py",),
    "platformctl/router/slurm": ("states.py", "ownership.py"),
}
MODULES = tuple(f"{folder}/{name}" for folder, names in _LISTED.items() for name in names)
_SETTINGS = {
    "source_paths": ["platformctl"],
    "also_copy": ["README.md", "charts", "docs", "inventories", "molecule", ".config", "playbooks", "roles"],
    # How many times as long as on the code as it is, on a machine that does other things too.
    "timeout_multiplier": 5.0,
    # The same examples for each mutant and in each run, and nothing remembered of the code as it is.
    "pytest_add_cli_args": ["--hypothesis-seed=0", "-p", "no:cacheprovider", "-p", "tests.forgetful"],
    "pytest_add_cli_args_test_selection": [
        *(f"tests/unit/{name}" for name in ("router", "jobs", "engine", "site", "cli")),
        "tests/properties",
    ],
}

_BUILD = Path("build/mutation")
_TREE = _BUILD / "tree"
_SURVIVORS = _BUILD / "survivors"
_NOTICED = frozenset({"killed", "timeout"})
_UNNOTICED = frozenset({"survived", "no tests"})
_COLUMNS = ("killed", "timeout", "survived", "no tests")


def main(chosen: list[str]) -> None:
    """Try the mutants of MODULES, of those in the chosen folders, or of any chosen file."""
    wrong = [name for name in chosen if not _mutable(name.rstrip("/"))]
    if wrong:
        print(
            f"error: there is nothing to change in {', '.join(wrong)}\n"
            "  next:  MODULE is a file or folder of platformctl/ with functions: platformctl/jobs/array.py",
            file=sys.stderr,
        )
        sys.exit(2)
    patterns = [pattern for name in chosen for pattern in _patterns(name.rstrip("/"))] or list(MODULES)
    _copy_checkout()
    with (_TREE / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.mutmut]\n")
        for key, value in {**_SETTINGS, "only_mutate": patterns}.items():
            # Texts, numbers and lists are written in TOML as they are in JSON.
            settings.write(f"{key} = {json.dumps(value)}\n")
    survivors = _SURVIVORS.resolve()
    shutil.rmtree(survivors, ignore_errors=True)
    os.chdir(_TREE)
    names = [pattern.removesuffix(".py").removesuffix("/*").replace("/", ".") + ".*" for pattern in patterns]
    mutmut = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(os.cpu_count())]
    # Its progress is one line that is written again and again: only for a person who watches.
    shown = None if sys.stdout.isatty() else subprocess.DEVNULL
    if subprocess.run([*mutmut, *names], stdout=shown).returncode:
        sys.exit(f"mutmut failed; see what it says: cd {_TREE} && {' '.join([*mutmut, *names])}")
    _report(survivors)


def _patterns(name: str) -> list[str]:
    """What a file or folder stands for: the modules of the list that are in it, or else itself."""
    listed = [pattern for pattern in MODULES if pattern == name or pattern.startswith(f"{name}/")]
    return listed or [name if name.endswith(".py") else f"{name}/*"]


def _mutable(name: str) -> bool:
    """Whether what a file or folder stands for has a function: what is outside of them is not changed."""
    files = (path for pattern in _patterns(name) for path in Path().glob(pattern) if path.suffix == ".py")
    own = (path for path in files if path.parts[0] in _SETTINGS["source_paths"])
    trees = (ast.walk(ast.parse(path.read_text())) for path in own)
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for tree in trees for node in tree)


def _copy_checkout() -> None:
    """What is tracked or new, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    shutil.rmtree(_TREE, ignore_errors=True)
    for name in filter(None, listed):
        if Path(name).exists():
            (_TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, _TREE / name, follow_symlinks=False)


def _report(survivors: Path) -> None:
    """A line for each module and each package that was tried; a file of diffs for each module."""
    modules, packages = {}, {}
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        verdicts = {
            name: status_by_exit_code[code]
            for name, code in data.exit_code_by_key.items()
            if code is not None
        }
        if not verdicts:
            continue
        modules[str(path)] = Counter(verdicts.values())
        packages.setdefault(str(path.parent), Counter()).update(modules[str(path)])
        _write_diffs(path, verdicts, survivors)
    print(f"{'':44}{''.join(f'{name:>10}' for name in (*_COLUMNS, 'other'))}   score")
    for rows in (modules, packages, {"all": sum(packages.values(), Counter())}):
        for name, counts in rows.items():
            print(_line(name, counts))
        print()
    print(f"What no test noticed: {_SURVIVORS}")


def _write_diffs(path: Path, verdicts: dict[str, str], survivors: Path) -> None:
    unnoticed = [name for name, verdict in verdicts.items() if verdict in _UNNOTICED]
    if not unnoticed:
        return
    target = (survivors / path).with_suffix(".diff")
    target.parent.mkdir(parents=True, exist_ok=True)
    diffs = (f"# {name}: {verdicts[name]}\n{get_diff_for_mutant(name, path=path)}" for name in unnoticed)
    target.write_text("\n".join(diffs))


def _line(name: str, counts: Counter[str]) -> str:
    """How many mutants came to which end; score: the share that a test noticed, in per cent."""
    other = counts.total() - sum(counts[column] for column in _COLUMNS)
    score = 100 * sum(counts[verdict] for verdict in _NOTICED) / counts.total()
    return f"{name:44}{''.join(f'{counts[column]:10}' for column in _COLUMNS)}{other:10}{score:8.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
