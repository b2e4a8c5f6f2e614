"""`python -m tests.both_ways.typed`: many times `platformctl sbatch`, as if typed on a host of the site.

Each is a fork of this process, so that the program is loaded once. Only the place is another one than this
machine: folder, host and variables are those that are given; umask and limits are the process's own. Reads
and prints a JSON document.
"""

import json
import os
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformctl.cli import sbatch_words
from platformctl.cli.main import app
from platformctl.jobs import sbatch  # noqa: F401  Loaded once, not in every fork.


def typed(asked: dict[str, Any], script: dict[str, Any]) -> dict[str, str]:
    """What it printed, and why it was refused."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as error:
        child = os.fork()
        if not child:
            _child(asked, script, said.fileno(), error.fileno())
        _, status = os.waitpid(child, 0)
        said.seek(0)
        error.seek(0)
        refused = (error.read().strip() or "refused") if status else ""
        return {"said": said.read().strip(), "error": refused}


def _child(asked: dict[str, Any], script: dict[str, Any], said: int, refused: int) -> None:
    os.dup2(said, 1)
    os.dup2(refused, 2)
    code = 1
    try:
        os.chdir(script["here"])
        os.umask(int(script["umask"], 8))
        for name, soft in script["limits"].items():
            number = getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))
        there, own = str(Path(asked["root"], "made", script["place"])), sbatch_words.caller
        sbatch_words.caller = lambda whole: replace(
            own(whole), folder=there, host=asked["host"], environment=asked["environment"]
        )
        words = ["--parsable", *script["options"], script["file"], *script["arguments"]]
        app(["sbatch", f"--kubeconfig={asked['kubeconfig']}", *asked["own"], *words], standalone_mode=False)
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except Exception as error:  # It is the answer.
        sys.stderr.write("\n".join(map(str, (error, *getattr(error, "details", ())))))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Submit all of them."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        for script in asked["scripts"]:
            script["here"] = tempfile.mkdtemp(dir=folder)
            Path(script["here"], script["file"]).write_bytes(script["text"].encode(errors="surrogateescape"))
        answers = [typed(asked, script) for script in asked["scripts"]]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
