"""What each refusal asks for is enough: applied by its words, the Job is accepted."""

import json

import pytest

from platformctl.jobs.parse import parse
from tests.unit.jobs import remedies
from tests.unit.jobs.test_parse import REFUSED, REFUSED_OF_SCRIPTS, SCRIPT

ALL = [spec for spec, _ in REFUSED] + [SCRIPT | spec for spec, _ in REFUSED_OF_SCRIPTS]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_remedy_of_a_refusal_is_enough(number: int) -> None:
    refusals = parse(ALL[number])
    assert isinstance(refusals, list)
    changed = remedies.applied(json.loads(json.dumps(ALL[number])), refusals)
    found = parse(changed)
    assert not isinstance(found, list), (list(map(str, refusals)), list(map(str, found)))
