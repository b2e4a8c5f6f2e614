"""The token that ties a job in a back end to one attempt of one Job resource.

It is the only proof of identity: back-end ids are reused, and names are not unique. It contains the site, so
that a router never mistakes another site's job on the same scheduler for its own. It contains the submission
(`copy`): if an attempt was submitted more than once, one submission is recorded, and another one may later
get the recorded id.
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

    copy: 8 hexadecimal digits, different for each submission of the attempt; empty if the back end accepts an
    attempt only once.
    """

    site: str
    uid: str
    attempt: int
    copy: str = ""

    def __str__(self) -> str:
        return f"kf:{self.site}:{self.uid}:{self.attempt}" + (f":{self.copy}" if self.copy else "")

    def another_submission(self) -> "Token":
        """A token for one more submission of the same attempt."""
        return replace(self, copy=secrets.token_hex(4))

    def same_attempt(self, other: "Token") -> bool:
        """Whether both tokens are of one attempt, even if of different submissions."""
        return replace(self, copy="") == replace(other, copy="")


def parse_token(text: object) -> Token | None:
    """The token in a back end's comment or annotation, or None if it contains something else."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return Token(match[1], match[2], int(match[3]), match[4] or "") if match else None
