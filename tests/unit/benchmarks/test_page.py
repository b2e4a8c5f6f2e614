"""The page of benchmarks says what the committed figures say."""

from pathlib import Path

from tests.benchmarks.document import document
from tests.benchmarks.figures import COMMITTED

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"


def test_the_page_is_made_from_the_committed_figures() -> None:
    assert PAGE.read_text() == document(), "run `make docs`"


def test_every_committed_benchmark_has_its_table() -> None:
    names = [path.stem for path in COMMITTED.glob("*.json")]
    assert names
    assert all(f"## {name}\n" in document() for name in names)
