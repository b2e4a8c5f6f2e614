"""Secrets are found in every form in which a program may repeat them."""

import base64
import html
import json
import random
import re
import shlex
import string
from urllib.parse import quote, quote_plus

import pytest

from platformctl.engine.running.redact import HIDDEN, Redactor

AWKWARD = """pa'ss "wörd" \\ $(x) & <y>;%z"""
LONG = "".join(random.Random(4).choices(string.ascii_letters + string.digits, k=200))

FORMS = {
    "plain": lambda text: text,
    "json": lambda text: json.dumps(text)[1:-1],
    "json with umlauts": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "quoted for a shell": shlex.quote,
    "escaped for a shell": lambda text: re.sub(r"([^\w@%+=:,./-])", r"\\\1", text),
    "python": lambda text: repr(text)[1:-1],
    "sql": lambda text: text.replace("'", "''"),
    "url": quote,
    "form": quote_plus,
    "html": html.escape,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of user and password": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 in the middle": lambda text: base64.b64encode(f"ab{text}cd".encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize("secret", [AWKWARD, "two\nlines of a text\n", "Xk2-9fQz_77wLpTn4mBvC8yR"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_hidden(secret: str, form: str) -> None:
    text = FORMS[form](secret)
    shown = Redactor([secret]).text(f"<<{text}>>")
    assert HIDDEN in shown
    longest = max((piece for piece in re.split(re.escape(HIDDEN), shown.strip("<>"))), key=len)
    assert len(longest) <= 12, shown


def test_a_key_in_base64_is_hidden_as_its_bytes_too() -> None:
    key = random.Random(1).randbytes(32)
    redactor = Redactor([base64.b64encode(key).decode()])
    assert redactor.text(f"key {key.hex()}") == f"key {HIDDEN}"


def test_a_part_of_a_long_value_is_hidden_wherever_it_was_cut() -> None:
    redactor = Redactor([LONG])
    assert redactor.text(f"near '{LONG[20:60]}' at line 1") == f"near '{HIDDEN}' at line 1"
    wrapped = "\n".join(LONG[start : start + 64] for start in range(0, len(LONG), 64))
    shown = redactor.text(wrapped)
    assert not any(LONG[start : start + 16] in shown for start in range(len(LONG) - 15))


def test_names_that_contain_a_part_of_a_password_stay() -> None:
    redactor = Redactor(["compute-cluster-production-login-node"])
    assert redactor.text("host compute-cluster-production is up") == "host compute-cluster-production is up"
