"""Packages of hosts that are below their lowest safe revision, by the table of the role base.

Nothing upgrades them here: preflight and `status` name them, and so does a weekly timer on each host.
"""

import shlex
from collections.abc import Iterator
from functools import cache

from platformctl import paths
from platformctl.engine.checking.findings import Finding, Level, Subject
from platformctl.engine.checking.proofs.health_check import HealthCheck

_FILES = "roles/base/files"
CHECK_NAME = "package revisions"


@cache
def script() -> str:
    """A shell script that prints a line for each such package and exits with 1 if there are any."""
    folder = paths.data_dir() / _FILES
    rows = (folder / "package_floors.txt").read_text()
    body = (folder / "package_floors.sh").read_text()
    return f"printf '%s' {shlex.quote(rows)} | {{\n{body}\n}}\n"


def judge(subject: Subject) -> Iterator[Finding]:
    """A warning for each package: they are mended by an upgrade, which may restart what jobs need."""
    for line in subject.probe.get("unsafe_packages") or ():
        remedy = "apt-get update && apt-get install --only-upgrade with its packages, on a drained node"
        yield Finding(subject.name, CHECK_NAME, Level.WARNING, line, remedy)


REVISIONS = HealthCheck(
    CHECK_NAME,
    lambda _fleet, _host: script(),
    quick=True,
    look="sh /usr/local/lib/platformctl/package_floors.sh < /usr/local/lib/platformctl/package_floors.txt",
)
