"""A site of three small stages on real hosts, run by the real engine in a process of its own.

`python -m tests.integration.engine.tiny INVENTORY DATA [LIMIT]` is `platformctl install --output json` with
this table instead of the product's.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from platformctl import paths
from platformctl.console import Format, Output
from platformctl.engine.loading import load
from platformctl.engine.running.install import Installation, Options
from platformctl.engine.stages import Stage, StageRunner, each
from platformctl.errors import PlatformError

VERBOSITY = "TINY_VERBOSITY"
"""Environment variable with Ansible's verbosity."""

STAGES = (
    Stage("preflight", "all", runner=StageRunner.PREFLIGHT),
    Stage("first", "all", ("first",), each("preflight")),
    Stage("second", "all", ("second",), each("first")),
    Stage("beside", "all", ("beside",), each("preflight")),
)
_PLAYBOOK = "- name: Stage\n  hosts: all\n  gather_facts: false\n  become: true\n  roles: [{role: %s}]\n"
# Variables that the product has, since an inventory with others is refused.
VARIABLES = {"first": "base_packages", "second": "base_apt_cache_valid_time", "beside": "secret_munge_key"}
_WRITE = """
- name: Write a file
  ansible.builtin.copy:
    dest: /var/tmp/tiny/{name}
    content: "{{{{ {variable} | default('x') | to_json }}}}"
    mode: "0644"
"""
# A role that forgets no_log.
_TELL = """
- name: Tell a secret
  ansible.builtin.debug:
    msg: "the key is {{ secret_munge_key }}"
"""
# Takes as long as the test says, and leaves a trace of being at work and of having ended.
_SLOW = """
- name: Work for a while
  ansible.builtin.shell: |
    touch /var/tmp/tiny/at-work
    sleep $(cat /var/tmp/tiny/seconds 2>/dev/null || echo 0)
    echo x >> /var/tmp/tiny/ended
  changed_when: false
"""


def make_data(folder: Path) -> Path:
    """Playbooks and roles of the table."""
    roles = folder / "roles"
    roles.mkdir(parents=True)
    (roles / "preflight").symlink_to(paths.data_dir() / "roles" / "preflight")
    (folder / "playbooks").mkdir()
    (folder / "playbooks" / "roles").symlink_to(roles)
    for shared in ("vars_plugins", "library", "module_utils", "shell_plugins", "ansible.cfg"):
        (folder / "playbooks" / shared).symlink_to(paths.data_dir() / "playbooks" / shared)
    for name in ("first", "second", "beside"):
        (folder / "playbooks" / f"{name}.yml").write_text(_PLAYBOOK % name)
        (roles / name / "tasks").mkdir(parents=True)
        (roles / name / "meta").mkdir()
        more = {"second": _SLOW, "beside": _TELL}.get(name, "")
        tasks = _WRITE.format(name=name, variable=VARIABLES[name]) + more
        (roles / name / "tasks" / "main.yml").write_text(tasks)
        options = f"argument_specs:\n  main:\n    options:\n      {VARIABLES[name]}: {{type: raw}}\n"
        (roles / name / "meta" / "argument_specs.yml").write_text(options)
    return folder


def start(inventory: Path, data: Path, *limit: str) -> subprocess.Popen[str]:
    """Start an installation of the tiny site."""
    command = [sys.executable, "-m", "tests.integration.engine.tiny", str(inventory), str(data), *limit]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )


def install(inventory: Path, data: Path, *limit: str, code: int = 0) -> list[dict[str, Any]]:
    """Install and wait; the exit code must be `code`. Returns the events."""
    process = start(inventory, data, *limit)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return [json.loads(line) for line in out.splitlines()]


def main() -> int:
    """Install the tiny site."""
    inventory, data, *limit = sys.argv[1:]
    options = Options(limit=tuple(limit), verbosity=int(os.environ.get(VERBOSITY, 0)))
    run = Installation(load(Path(inventory)), options, STAGES, Path(data))
    try:
        return asyncio.run(run.run(Output(format=Format.JSON)))
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.code


if __name__ == "__main__":
    sys.exit(main())
