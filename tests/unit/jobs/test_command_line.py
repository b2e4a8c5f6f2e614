"""Command lines as scripts, run by the interpreter itself."""

import re
import subprocess
from pathlib import Path

import pytest

from platformctl.jobs.command_line import UnclearError, as_script

AWKWARD = ("", "a b", "it's", "$HOME `id` $(id)", "*", "-n", "--", "two\nlines", "ü")


def test_a_command_gets_its_words_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(as_script(["printf", "%s|", *AWKWARD]))
    path.chmod(0o755)
    done = subprocess.run([path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "|".join([*AWKWARD, ""])


def test_what_means_two_things_is_refused() -> None:
    with pytest.raises(UnclearError, match=re.escape("-- sh -c 'a | b'")):
        as_script(["a | b"])
    assert as_script(["/opt/tool"]) == "#!/bin/sh\nexec /opt/tool\n"
