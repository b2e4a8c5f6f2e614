"""The configuration of the logs API: one JSON file, written by the chart from the site's inventory."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Strict):
    """A site user's numeric ids, as on every host. Root cannot be one."""

    name: str
    uid: _Id
    gid: _Id
    groups: list[_Id] = []
    home: str


class LogsConfig(_Strict):
    """The whole file.

    home: where the shared home is mounted, the same path as on Slurm's hosts; None if it is not mounted.
    certificate, key: the server's. port: where it listens. user: uid and gid of the process that speaks HTTP.
    streams, streams_per_user: how many outputs may be read at the same time. page_bytes: the most in one
    answer. stream_bytes: the most in one answer with follow.
    """

    users: list[Person]
    home: str | None = None
    certificate: Path
    key: Path
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    user: _Id = 65532
    streams: Annotated[int, Field(ge=1, le=4096)] = 128
    streams_per_user: Annotated[int, Field(ge=1, le=4096)] = 16
    page_bytes: Annotated[int, Field(ge=4096, le=2**26)] = 2**20
    stream_bytes: Annotated[int, Field(ge=4096)] = 2**28

    def person(self, name: str) -> Person | None:
        """The site user of that name."""
        return next((person for person in self.users if person.name == name), None)


def load(path: Path) -> LogsConfig:
    """Read and check the file."""
    return LogsConfig.model_validate_json(path.read_bytes())
