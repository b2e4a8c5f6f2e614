"""Where the packages of lab hosts come from: what mmdebstrap writes into a new host's list of sources.

Nothing here names an archive. mmdebstrap knows Debian's default ones, and the image is built with it.
"""

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from platformctl import surroundings
from platformctl.errors import PlatformError

SUITE = "trixie"
"""Of lab hosts."""
_SOURCE = re.compile(r"^deb .*?(http://\S+)", re.MULTILINE)


def sources() -> tuple[str, ...]:
    """The addresses of the archives, the first that of the suite itself; others have its updates.

    PlatformError: mmdebstrap does not say.
    """
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "sources.list")
        # The hook runs before anything is fetched, and its failure ends mmdebstrap there.
        hook = f'cp "$1"/etc/apt/sources.list {shlex.quote(str(listed))}; false'
        command = ["mmdebstrap", "--quiet", "--variant=custom", "--format=null", f"--setup-hook={hook}"]
        done = subprocess.run(
            [*command, SUITE, "-"],
            capture_output=True,
            text=True,
            check=False,
            env=surroundings.outward(),
        )
        found = [match[1] for match in _SOURCE.finditer(listed.read_text())] if listed.exists() else []
    if not found:
        raise PlatformError(
            f"mmdebstrap does not say where the packages of Debian {SUITE} come from",
            where="mmdebstrap",
            next="check that it works: apt-get install --reinstall mmdebstrap",
            details=done.stderr.strip().splitlines()[-4:],
        )
    return tuple(dict.fromkeys(found))
