"""Which file the output of an attempt or of an element is in."""

from typing import Any

import pytest

from platformctl.logs.sources import FileSource, NoOutputError, Watched


class Opened:
    """Notes which path is asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def open(self, _user: str, path: str) -> int:
        self.paths.append(path)
        raise TimeoutError


async def path_of(spec: dict[str, Any], index: int | None = None, **status: Any) -> str:
    """The file that is opened for a Job."""
    job = {"metadata": {"uid": "u"}, "spec": spec, "status": {"backendId": "17", **status}}
    opened = Opened()
    source = FileSource(opened, Watched(None, "", job), "alice", 1, index)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="the shared home does not answer"):
        await source.size()
    return opened.paths[0]


@pytest.mark.parametrize(
    ("spec", "index", "status", "path"),
    [
        ({}, None, {"output": "/h/a-17.out"}, "/h/a-17.out"),
        ({}, None, {"output": "/h/100%.out"}, "/h/100%.out"),
        ({}, None, {"output": "/h/%N-17.out", "nodes": "node[03-05],gpu1"}, "/h/node03-17.out"),
        ({"array": "5-9"}, None, {"output": "/h/%A_%a.out"}, "/h/17_5.out"),
        ({"array": "5-9"}, None, {"output": "/h/%6A%%A.out"}, "/h/000017%A.out"),
        ({}, None, {"output": "/h/%A.out"}, "/h/%A.out"),
        ({"array": "5-9"}, 7, {"output": "/h/17_%4a/%b%%.out"}, "/h/17_0007/7%.out"),
    ],
)
async def test_patterns_are_filled_in(
    spec: dict[str, Any], index: int | None, status: dict[str, Any], path: str
) -> None:
    assert await path_of(spec, index, **status) == path


async def test_a_name_with_the_elements_own_id_cannot_be_known() -> None:
    job = {"metadata": {}, "spec": {"array": "0-1"}, "status": {"output": "/h/%j.out"}}
    source = FileSource(Opened(), Watched(None, "", job), "alice", 1, 0)  # type: ignore[arg-type]
    with pytest.raises(NoOutputError, match="with %A_%a in --output it can be shown"):
        await source.size()
