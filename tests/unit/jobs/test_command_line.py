"""Command lines as scripts, and scripts with arguments and variables, run by the interpreters themselves."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from platformctl.jobs.command_line import UnclearError, as_script, with_context
from platformctl.jobs.parse import parse

AWKWARD = ("", "a b", "it's", "$HOME `id` $(id)", "*", "-n", "--", "two\nlines", "ü")
SHOW = {
    "/bin/sh": 'printf "%s|" "$@" "$V"; cat',
    "/bin/bash": 'printf "%s|" "$@" "$V"; cat',
    "/usr/bin/env bash": 'printf "%s|" "$@" "$V"; cat',
    "/usr/bin/env -S bash -e": 'printf "%s|" "$@" "$V"; cat',
    "/usr/bin/env python3": (
        "import os, sys\n"
        'print(*sys.argv[1:], os.environ["V"], sep="|", end="|", flush=True)\n'
        "print(end=sys.stdin.read())\n"
    ),
    "/usr/bin/perl -w": 'print map { "$_|" } @ARGV, $ENV{V}; print <STDIN>;',
}


def run(script: str, folder: Path, text: str = "") -> str:
    """As a scheduler runs it: a file that the kernel starts."""
    path = folder / "script"
    path.write_text(script)
    path.chmod(0o755)
    done = subprocess.run([path], input=text, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.mark.parametrize("interpreter", SHOW)
def test_arguments_and_variables_reach_a_script_as_they_are(interpreter: str, tmp_path: Path) -> None:
    if not shutil.which(interpreter.split()[0]):
        pytest.skip("it is not on this machine")
    script = f"#!{interpreter}\n{SHOW[interpreter]}"
    changed = with_context(script, [("V", "x 'y'\n$Z")], AWKWARD)
    # Standard input stays the script's.
    assert run(changed, tmp_path, "from stdin") == "|".join([*AWKWARD, "x 'y'\n$Z", "from stdin"])


def test_a_large_script_and_one_with_the_mark_are_whole(tmp_path: Path) -> None:
    lines = "".join(f"x{number} = 'KFOUNDRY_SCRIPT'\n" for number in range(10_000))
    script = (
        f"#!/usr/bin/env python3\n{lines}'''\nKFOUNDRY_SCRIPT\n'''\nimport sys\nprint(len(sys.argv), x9999)"
    )
    assert run(with_context(script, [], ["a"]), tmp_path) == "2 KFOUNDRY_SCRIPT\n"


def test_without_both_a_script_stays_as_it_is() -> None:
    assert with_context("#!/bin/sh\ndate", [], []) == "#!/bin/sh\ndate"


@pytest.mark.parametrize("script", ["echo hi\n", "", "#!\nx\n", "#! env sh\n"])
def test_a_script_without_an_interpreter_stays_one_that_is_refused(script: str) -> None:
    changed = with_context(script, [("A", "1")], ["x"])
    assert isinstance(parse({"script": changed}), list)


def test_the_lines_of_a_shells_script_come_after_its_first() -> None:
    changed = with_context("#!/bin/bash -l\ndate\n", [("A", "b c")], ["1"])
    assert changed == "#!/bin/bash -l\nexport A='b c'\nset -- 1\ndate\n"


def test_a_command_gets_its_words_as_they_are(tmp_path: Path) -> None:
    assert run(as_script(["printf", "%s|", *AWKWARD]), tmp_path) == "|".join([*AWKWARD, ""])


def test_what_means_two_things_is_refused() -> None:
    with pytest.raises(UnclearError, match=re.escape("-- sh -c 'a | b'")):
        as_script(["a | b"])
    assert as_script(["/opt/tool"]) == "#!/bin/sh\nexec /opt/tool\n"
    with pytest.raises(UnclearError, match="'A-B' is not the name of a variable"):
        with_context("#!/bin/sh\n", [("A-B", "1")], [])
