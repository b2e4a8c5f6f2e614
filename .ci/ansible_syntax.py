"""Checks the syntax of playbooks and roles as `ansible-playbook --syntax-check` does.

    ansible_syntax.py PLAYBOOK_OR_ROLE...      a role by its folder; ANSIBLE_ROLES_PATH has those it uses

ansible-lint does the same, a playbook that others import several times, and starts Ansible for each: two
seconds, nearly a hundred times. Here Ansible is loaded once, and each check is a fork of this process: it
finds no module that another role has brought along, and takes a tenth of that.
"""

import io
import multiprocessing
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from ansible.cli.playbook import PlaybookCLI


def failure(name: str) -> str:
    """What Ansible says of a playbook, or of a play that imports a role; empty when nothing is wrong."""
    said = io.StringIO()
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as play:
        playbook = name
        if Path(name).is_dir():
            playbook = play.name
            play.write(f"- hosts: localhost\n  tasks:\n    - ansible.builtin.import_role: {{name: {name}}}\n")
            play.flush()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                PlaybookCLI.cli_executor(["ansible-playbook", "--syntax-check", playbook])
            except SystemExit as ended:
                return f"{name}:\n{said.getvalue()}" if ended.code else ""
    return f"{name}: Ansible did not end"


def main() -> int:
    """Check all at once on as many processors as there are; exit status 1 when one fails."""
    # One fork for each check: nothing that a role brings along stays for the next.
    with multiprocessing.get_context("fork").Pool(maxtasksperchild=1) as pool:
        failures = list(filter(None, pool.imap(failure, sys.argv[1:], chunksize=1)))
    sys.stdout.write("".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
