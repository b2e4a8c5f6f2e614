"""The token that ties a job in a back end to one attempt of one Job resource.

It is the only proof of identity: back-end ids are reused, names are not unique. It names the site too,
so that a router never takes another site's job on the same scheduler for its own, and the copy: of an
attempt that was submitted more than once, one copy is recorded, and another may come by its id.
"""

import re
import secrets
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"kf:([a-z0-9][a-z0-9.-]{0,62}):([0-9a-f-]{36}):([1-9]\d{0,5})(?::([0-9a-f]{8}))?", re.ASCII
)


@dataclass(frozen=True)
class Token:
    """site: name of the site; uid: metadata.uid of the Job; attempt: 1 for the first submission.

    copy: 8 hexadecimal digits, different for each submission of the attempt; empty where the back end takes
    an attempt only once.
    """

    site: str
    uid: str
    attempt: int
    copy: str = ""

    def __str__(self) -> str:
        return f"kf:{self.site}:{self.uid}:{self.attempt}" + (f":{self.copy}" if self.copy else "")

    def another_copy(self) -> "Token":
        """For one more submission of the same attempt."""
        return replace(self, copy=secrets.token_hex(4))

    def same_attempt(self, other: "Token") -> bool:
        """Whether both are of one attempt, whichever copies."""
        return replace(self, copy="") == replace(other, copy="")


def parse_token(text: object) -> Token | None:
    """The token in a back end's comment or annotation, or None when it holds something else."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return Token(match[1], match[2], int(match[3]), match[4] or "") if match else None
