"""Runs Ansible's modules on hosts with our umask and environment.

Ansible finds this file because it lies beside the playbooks, and uses it where ansible_shell_type says so, as
in all runs of platformctl.
"""

import os
from typing import Any

from ansible.plugins.shell.sh import ShellModule as PosixShell

from platformctl import host_shell

DOCUMENTATION = """
name: clean_sh
short_description: POSIX shell with umask 022 and an environment that is the same on every host
description: What a host's login, sudo and PAM set, such as proxies or a umask, does not reach modules.
extends_documentation_fragment:
  - shell_common
"""


class ShellModule(PosixShell):
    """Ansible's shell, with a clean start for each module and script."""

    def env_prefix(self, **kwargs: Any) -> str:
        """What stands before each command; variables of `environment` come after ours.

        Programs on a host can be told apart by the stage that started them (engine/running/waiting_probe.py).
        """
        stage = os.environ.get("ANSIBLE_TARGET_LOG_INFO", "")
        own = {"PLATFORMCTL_STAGE": stage} if stage else {}
        return host_shell.clean(super().env_prefix(**own, **kwargs))
