"""The modules that `make mutation` changes are there."""

from pathlib import Path

import pytest

from tests import mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("pattern", mutation.MODULES)
def test_a_listed_module_exists(pattern: str) -> None:
    assert list(ROOT.glob(pattern))
