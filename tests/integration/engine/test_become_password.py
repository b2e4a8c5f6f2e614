"""A host whose sudo asks for a password, which the inventory has as a vaulted value."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platformctl.errors import ExitCode
from tests.integration.engine import tiny
from tests.integration.engine.conftest import Script
from tests.integration.engine.test_install import Place, ends, finished
from tests.vaulted import encrypted, site_key

_PASSWORD = 'open sesame\'s "door"'
_ASK = """\
cp -a /etc/sudoers.d /var/tmp/sudoers.d
grep -rl NOPASSWD /etc/sudoers.d | xargs sed -i 's/NOPASSWD://'
cat > /var/tmp/shadow < /etc/shadow
chpasswd <<'END'
ops:{password}
END
"""
_UNDO = (
    "cp -a /var/tmp/sudoers.d/. /etc/sudoers.d/; cat /var/tmp/shadow > /etc/shadow; rm -r /var/tmp/sudoers.d"
)


@pytest.fixture
def asking(on: Script) -> Iterator[None]:
    """node1's sudo asks for the password."""
    on("node1", _ASK.format(password=_PASSWORD))
    yield
    on("node1", _UNDO)


@pytest.mark.usefixtures("asking")
def test_a_vaulted_password_makes_root_and_is_never_shown(site: Place, on: Script) -> None:
    inventory, data = site
    refused = ends(tiny.install(inventory, data, "node1", code=ExitCode.UNREACHABLE), "node1")
    assert refused["preflight"]["message"] == (
        "does not let its user become root: sudo: a password is required"
    )
    own = inventory / "host_vars" / "node1.yml"
    own.parent.mkdir(exist_ok=True)
    own.write_text(encrypted("ansible_become_password", _PASSWORD, site_key(inventory)))
    try:
        events = tiny.install(inventory, data, "node1")
        again = tiny.install(inventory, data, "node1")
    finally:
        own.unlink()
    assert finished(events)["changed"] == 1
    assert (finished(again)["changed"], finished(again)["failed"]) == (0, 0)
    assert on("node1", "cat /var/tmp/tiny/ended").split() == ["x"]
    written = [path.read_text() for path in Path(events[0]["journal"]).rglob("*") if path.is_file()]
    assert written
    assert not [text for text in (*written, str(events)) if _PASSWORD in text or "sesame" in text]
