#!/usr/bin/python
"""Run a command that reads secrets from its standard input, and show what it says without them.

Ansible's own way to keep a secret out of the output, `no_log` for a task, also hides why the task failed.
Here only the secret values are hidden: in the result, in the host's log, and in the list of processes.
"""

from __future__ import annotations

import pathlib
import shlex

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: secret_command
short_description: Run a command with secrets on its standard input, and show what it says without them
description:
  - Runs a program without a shell. What it writes is returned; secrets in it are replaced.
  - Its arguments must hold no secret, since every user of the host can read them.
options:
  argv:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
  stdin:
    description: What the program reads. It is in no log and in no result.
    type: str
    default: ""
  secrets:
    description: Values to hide wherever the program writes them.
    type: list
    elements: str
    default: []
  secret_environment:
    description: Environment variables of the program, for those that take a secret only there. Hidden too.
    type: dict
    default: {}
  secret_output:
    description:
      - Whether the output of a success is a secret itself. Later tasks can use it, but it is not shown.
      - The output of a failure is shown all the same.
    type: bool
    default: false
  creates:
    description: Path of a file; if it exists, the command is not run.
    type: path
"""

EXAMPLES = """
- secret_command:
    argv: [mariadb, --batch]
    stdin: "ALTER USER 'slurm'@'localhost' IDENTIFIED BY '{{ password }}';"
    secrets: ["{{ password }}"]
"""

RETURN = """
stdout: {description: What the program wrote to standard output., type: str, returned: always}
stderr: {description: What the program wrote to standard error., type: str, returned: always}
rc: {description: Its exit status., type: int, returned: always}
"""

_LONGEST_COMMAND = 80


class _Module(AnsibleModule):
    """A module whose arguments stay out of the host's log: no_log hides only values of one line there."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def main() -> None:
    """Entry point of the module."""
    module = _Module(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "stdin": {"type": "str", "default": "", "no_log": True},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "secret_environment": {"type": "dict", "default": {}, "no_log": True},
            "secret_output": {"type": "bool", "default": False, "no_log": False},
            "creates": {"type": "path"},
        },
        supports_check_mode=True,
    )
    creates = module.params["creates"]
    if creates and pathlib.Path(creates).exists():
        module.exit_json(changed=False, rc=0, stdout="", stderr="", msg=f"not run, since {creates} exists")
    if module.check_mode:
        module.exit_json(changed=True, skipped=True, msg="not run in check mode")
    argv = module.params["argv"]
    environment = {name: str(value) for name, value in module.params["secret_environment"].items()}
    code, out, err = module.run_command(
        argv, data=module.params["stdin"], binary_data=False, environ_update=environment
    )
    result = {"rc": code, "stdout": out.rstrip("\n"), "stderr": err.rstrip("\n")}
    if code:
        module.fail_json(msg=f"{_shown(argv)} ended with exit status {code}", **result)
    hidden = {"_ansible_no_log": True} if module.params["secret_output"] else {}
    module.exit_json(changed=True, **result, **hidden)


def _shown(argv: list[str]) -> str:
    """The command for people: a script or a long one by the name of its program."""
    command = shlex.join(argv)
    return command if len(command) <= _LONGEST_COMMAND and "\n" not in command else argv[0]


if __name__ == "__main__":
    main()
