import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformctl.clients.nesting import shallow

_values = st.recursive(
    st.none() | st.integers(-5, 5) | st.text('[]{}",\\a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('"[{', max_size=2), inner, max_size=3)
    ),
)


def cut(value: object, most: int) -> object:
    if isinstance(value, list):
        return [cut(item, most - 1) for item in value] if most else None
    if isinstance(value, dict):
        return {key: cut(item, most - 1) for key, item in value.items()} if most else None
    return value


@given(_values, st.integers(0, 4))
def test_what_is_deeper_becomes_null_and_the_rest_stays(value: object, most: int) -> None:
    assert json.loads(shallow(json.dumps(value).encode(), most)) == cut(value, most)


def test_as_deep_as_the_api_server_takes() -> None:
    text = b'{"deep":' + b"[" * 9999 + b"]" * 9999 + b',"after":"]"}'
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)
    assert orjson.loads(shallow(text, 500))["after"] == "]"
