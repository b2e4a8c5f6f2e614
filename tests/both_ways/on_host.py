"""Runs on a host of the lab, as the user: `python3 on_host.py submit|look`, a JSON document on both ends.

It has nothing but Python's standard library and Slurm's commands.
"""

import json
import os
import resource
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any


def submit(asked: dict[str, Any]) -> dict[str, Any]:
    """Write each script into a folder of each way, and submit it there.

    What sbatch answers, and the environment.
    """
    answers = []
    for script in asked["scripts"]:
        for kind in ("real", "made"):
            folder = Path(asked["root"], kind, script["place"])
            folder.mkdir(parents=True)
            folder.joinpath(script["file"]).write_bytes(script["text"].encode(errors="surrogateescape"))
        words = ["sbatch", "--parsable", *script["options"], script["file"], *script["arguments"]]
        done = subprocess.run(
            words,
            cwd=Path(asked["root"], "real", script["place"]),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=partial(_shell, script),
        )
        error = (done.stderr.strip() or "refused") if done.returncode else ""
        answers.append({"said": done.stdout.strip().partition(";")[0], "error": error})
    return {"environment": dict(os.environ), "answers": answers}


def _shell(script: dict[str, Any]) -> None:
    os.umask(int(script["umask"], 8))
    for name, soft in script["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Every file below the root: its mode and its text."""
    found = {}
    for kind in ("real", "made"):
        for folder in sorted(Path(asked["root"], kind).iterdir()):
            found[f"{kind}/{folder.name}"] = {
                str(path.relative_to(folder)): [oct(stat.S_IMODE(path.stat().st_mode)), _text(path)]
                for path in sorted(folder.rglob("*"))
            }
    return found


def _text(path: Path) -> str | None:
    return None if path.is_dir() else path.read_bytes().decode(errors="replace")


if __name__ == "__main__":
    json.dump({"submit": submit, "look": look}[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
