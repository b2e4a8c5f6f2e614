"""The errors for people: what went wrong, where, and the next command.

Every expected failure is a PlatformError; the command line prints it and exits with its code. Any other
exception is a defect and shows a traceback.
"""

import re
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Self

SITE_COMMANDS = (
    "artifacts export",
    "artifacts fetch",
    "artifacts list",
    "artifacts lock",
    "artifacts verify",
    "charts",
    "install",
    "kubeconfig",
    "network",
    "node add",
    "node balance",
    "node describe",
    "node drain",
    "node list",
    "node move",
    "node remove",
    "node undrain",
    "plan",
    "preflight",
    "reset",
    "secrets list",
    "secrets make",
    "secrets rotate",
    "status",
    "unlock",
    "user disable",
    "user enable",
    "user list",
    "user show",
    "user token",
    "validate",
    "verify",
)
"""The commands that take a site's inventory; a remedy may name them without it, or with `-i SITE`."""

# Not where the option follows later in the same command.
_NAMED_LATER = r"(?:(?!platformctl )[^;])*? -i "
_WITHOUT_SITE = re.compile(rf"(platformctl (?:{'|'.join(SITE_COMMANDS)}))\b(?: -i SITE\b|(?!{_NAMED_LATER}))")


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    REFUSED = 3
    UNREACHABLE = 4


@dataclass
class PlatformError(Exception):
    """A failure with its place and remedy.

    what: one sentence, in the user's words. where: file, host or resource. next: a command or step.
    details: further lines, e.g. one for each mistake of an invalid site.
    """

    what: str
    where: str = ""
    next: str = ""
    code: ExitCode = ExitCode.FAILED
    details: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [self.what, *(f"  {line}" for line in self.details)]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.next:
            parts.append(f"  next:  {self.next}")
        return "\n".join(parts)

    def for_site(self, inventory: Path) -> Self:
        """The same error; commands of its remedy that name no inventory, or `SITE`, name this one."""
        remedy = _WITHOUT_SITE.sub(lambda match: f"{match[1]} -i {inventory}", self.next)
        return replace(self, next=remedy)
