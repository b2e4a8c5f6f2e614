"""The cluster with nothing of ours, before and after each module."""

from collections.abc import Iterator

import pytest

from tests.kind import cluster
from tests.kind.site import SITE, objects, platformctl


@pytest.fixture(scope="module")
def before() -> Iterator[set[str]]:
    """The cluster with nothing of ours; what it holds then."""
    cluster.up()
    platformctl("reset", "-i", SITE, "--yes", "kind")
    yield objects()
    platformctl("reset", "-i", SITE, "--yes", "kind")
