"""Causes of failed connections, from what OpenSSH really writes."""

import subprocess
from pathlib import Path

import pytest

from platformctl.engine import ssh_errors
from platformctl.engine.checking import check
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from tests.unit.engine.sites import make_fleet

CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /home/ops/.ssh/known_hosts:3
  remove with:
  ssh-keygen -f "/home/ops/.ssh/known_hosts" -R "192.0.2.11"
Host key for 192.0.2.11 has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "does", "remedy"),
    [
        (CHANGED, "shows another ssh key", "ssh-keygen -f /home/ops/.ssh/known_hosts -R 192.0.2.11"),
        (
            "No ED25519 host key is known.\nHost key verification failed.",
            "does not know",
            "ssh root@192.0.2.11",
        ),
        ("root@192.0.2.11: Permission denied (publickey).", "not let its user in", "authorized_keys of root"),
        (
            "ssh: Could not resolve hostname n1: Name or service not known",
            "cannot be resolved",
            "ansible_host",
        ),
        ("ssh: connect to host 192.0.2.11 port 22: Connection refused", "no ssh server", "ssh server"),
        ("ssh: connect to host 192.0.2.11 port 22: No route to host", "does not answer", "start it"),
        ("no answer within 8 s", "does not answer in time", "start it if it is off"),
    ],
)
def test_each_cause_has_its_own_remedy(said: str, does: str, remedy: str) -> None:
    host = make_fleet({"n1": ()}).hosts["n1"]
    reply = Reply(255, "", said)
    assert does in reply.refusal
    found = check._failure(host, reply).remedy
    assert remedy in found
    assert ("start it," in found) == (does == "does not answer")
    assert "{" not in found


def test_a_key_of_another_port_is_forgotten_by_its_name_there() -> None:
    said = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"
    found = ssh_errors.remedy(said, Connection("192.0.2.11", "ops", port=2222))
    assert "ssh-keygen -R '[192.0.2.11]:2222'" in found
    assert "ssh -p 2222 ops@192.0.2.11" in found


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize(("port", "name"), [(22, "192.0.2.11"), (2222, "[192.0.2.11]:2222")])
@pytest.mark.parametrize("advice", [True, False])
def test_the_remedy_against_a_changed_key_takes_the_old_one_away(
    tmp_path: Path, quote: str, port: int, name: str, advice: bool
) -> None:
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    key = (tmp_path / "key.pub").read_text()
    known = tmp_path / "known hosts"
    known.write_text(f"{name} {key}192.0.2.12 {key}")
    said = CHANGED.replace("/home/ops/.ssh/known_hosts", str(known)).replace('"', quote)
    said = said.replace(f"{quote}192.0.2.11{quote}", f"{quote}{name}{quote}")
    if not advice:
        said = "\n".join(line for line in said.splitlines() if "ssh-keygen" not in line)
    remedy = ssh_errors.remedy(said, Connection("192.0.2.11", "ops", port=port))
    command = remedy.partition("reinstalled: ")[2].partition(", then")[0]
    # As a user's shell takes it, in which brackets are patterns.
    subprocess.run(["bash", "-O", "failglob", "-c", command], check=True, capture_output=True)
    assert [line.split()[0] for line in known.read_text().splitlines()] == ["192.0.2.12"]


def test_the_new_key_is_accepted_where_the_inventory_keeps_known_hosts() -> None:
    options = ("-o", "UserKnownHostsFile=/home/ops/my hosts")
    found = ssh_errors.remedy("Host key verification failed.", Connection("n1", "ops", arguments=options))
    assert "ssh -o 'UserKnownHostsFile=/home/ops/my hosts' ops@n1" in found
