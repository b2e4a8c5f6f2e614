"""A playbook that really runs, on this machine, from an operator's environment that is wrong in many ways."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from platformctl import paths
from platformctl.engine.fleet import Connection, Fleet, Host
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.outcome import Status
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.session import Session
from tests.unit.test_surroundings import EVIL

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.shell: |
        umask > {folder}/umask
        env > {folder}/module
        (exec < /dev/tty) 2> /dev/null && echo yes > {folder}/terminal || echo no > {folder}/terminal
      tags: [base]
    - name: Look at Ansible's own environment
      ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.pipe', 'env') }}}}"
        dest: {folder}/controller
"""


@pytest.fixture
def site(tmp_path: Path) -> tuple[Fleet, Path]:
    """A fleet of this machine, and a data folder with the playbook `look`."""
    data = tmp_path / "data"
    shutil.copytree(
        paths.data_dir() / "playbooks",
        data / "playbooks",
        ignore=shutil.ignore_patterns("roles", "library", "vars_plugins", "*.yml"),
    )
    (data / "playbooks" / "look.yml").write_text(PLAYBOOK.format(folder=tmp_path))
    inventory = tmp_path / "site" / "hosts.yml"
    inventory.parent.mkdir()
    inventory.write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    host = Host("here", frozenset({"all"}), {}, Connection("", local=True))
    return Fleet("test", inventory, {"here": host}, {}), data


def test_nothing_of_the_operators_environment_reaches_a_playbook(
    site: tuple[Fleet, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, data = site
    home = tmp_path / "home"
    home.mkdir()
    config = (
        "[tags]\nskip = base\n"
        "[privilege_escalation]\nbecome_ask_pass = true\n"
        "[defaults]\nask_vault_pass = true\n"
    )
    for folder in (home, tmp_path):
        (folder / "ansible.cfg").write_text(config)
        (folder / ".ansible.cfg").write_text(config)
    own = {**EVIL, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "HOME": str(home)}
    # This process needs no other interpreter and no library for the test.
    for name in own.keys() - {"LD_PRELOAD"}:
        monkeypatch.setenv(name, own[name])
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    journal = Journal(tmp_path / "run", Redactor(()), lambda _: None)
    try:
        with journal:
            result = asyncio.run(asyncio.wait_for(Session(fleet, data, journal).run("look", ("here",)), 60))
    finally:
        os.umask(before)
    assert result.hosts["here"].status is Status.CHANGED, (tmp_path / "run" / "look.log").read_text()
    assert (tmp_path / "umask").read_text() == "0022\n"
    assert (tmp_path / "terminal").read_text() == "no\n"
    controller = (tmp_path / "controller").read_text().splitlines()
    module = (tmp_path / "module").read_text().splitlines()
    for name, value in EVIL.items():
        assert f"{name}={value}" not in controller
        assert f"{name}={value}" not in module
    assert any(line.startswith("ANSIBLE_CONFIG=") and "playbooks/ansible.cfg" in line for line in controller)
    assert not [line for line in module if line.startswith(("ANSIBLE_", "SSH_"))]
