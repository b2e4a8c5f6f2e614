"""The rule on where artefacts come from: a mirror has an address."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts


def check(facts: Facts) -> Iterator[Mistake]:
    """A mirror without its address."""
    setting = facts.shared_text("artifacts_source")
    if setting and setting[1] == "mirror" and facts.shared("artifacts_mirror_url") is None:
        remedy = "set artifacts_mirror_url to the address of the site's server, or take another source"
        problem = "needs artifacts_mirror_url, which is not set"
        yield setting[0].mistake(("artifacts_source",), setting[1], problem, remedy)
