"""The token that ties a job in a back end to one attempt of one Job resource.

It is the only proof of identity: back-end ids are reused, names are not unique. It names the site too,
so that a router never takes another site's job on the same scheduler for its own.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"kf:([a-z0-9][a-z0-9.-]{0,62}):([0-9a-f-]{36}):([1-9]\d{0,5})", re.ASCII)


@dataclass(frozen=True)
class Token:
    """site: name of the site; uid: metadata.uid of the Job; attempt: 1 for the first submission."""

    site: str
    uid: str
    attempt: int

    def __str__(self) -> str:
        return f"kf:{self.site}:{self.uid}:{self.attempt}"


def parse_token(text: object) -> Token | None:
    """The token in a back end's comment or annotation, or None when it holds something else."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return Token(match[1], match[2], int(match[3])) if match else None
