#!/usr/bin/python
"""Make apt ready to install: finish what one that was cut off has left, and say how old its lists are.

Every installation of packages asks for this first: which one was cut off is known to nobody. Both in one
task, since over ssh a task costs about half a second a host, whatever it does.
"""

from __future__ import annotations

import fcntl
import pathlib
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: packages_ready
short_description: Finish or take away what an apt that was cut off has left, and tell whether lists are fresh
description:
  - Configures packages that were unpacked only; apt refuses to work before that.
  - Removes the policy-rc.d with which Ansible's apt keeps services from starting, for else the next apt takes
    it for the site's own, and no upgrade restarts a service ever again.
  - Changes nothing while something else installs packages.
options:
  lists_valid_seconds:
    description: Age up to which package lists count as fresh.
    type: int
    default: 86400
  root:
    description: Folder that holds the host's files.
    type: path
    default: /
"""

RETURN = """
done: {description: What was made good., type: list, elements: str, returned: always}
lists_fresh: {description: Whether a package list is young enough., type: bool, returned: always}
"""

# As Ansible's apt writes it for policy_rc_d: 101.
_POLICY = "#!/bin/sh\nexit 101\n"
# Ansible's apt has started apt-get, and that has taken the lock, long before.
_SETTLED_SECONDS = 60
_UNFINISHED = {"unpacked", "half-configured", "triggers-awaited", "triggers-pending"}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "lists_valid_seconds": {"type": "int", "default": 86400},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    root = pathlib.Path(module.params["root"])
    done = _recover(module, root)
    fresh = _lists_fresh(root, module.params["lists_valid_seconds"])
    module.exit_json(changed=bool(done), done=done, lists_fresh=fresh)


def _recover(module: AnsibleModule, root: pathlib.Path) -> list[str]:
    with (root / "var/lib/dpkg/lock-frontend").open("a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return []
        # In this order: the policy keeps services of these packages from starting on their own defaults.
        return _configure(module, root) + _remove_policy(module, root)


def _lists_fresh(root: pathlib.Path, valid_seconds: int) -> bool:
    """By the lists themselves: apt's own stamp is fresh, too, where an image was made without lists."""
    lists = (root / "var/lib/apt/lists").glob("*InRelease")
    return any(time.time() - path.stat().st_ctime < valid_seconds for path in lists)


def _configure(module: AnsibleModule, root: pathlib.Path) -> list[str]:
    query = ["dpkg-query", f"--root={root}", "--show", "--showformat=${db:Status-Status}\\n"]
    _, states, _ = module.run_command(query, check_rc=True)
    if not _UNFINISHED & set(states.split()) and not any((root / "var/lib/dpkg/updates").iterdir()):
        return []
    if not module.check_mode:
        module.run_command(
            ["dpkg", f"--root={root}", "--force-confdef", "--force-confold", "--configure", "-a"],
            check_rc=True,
            # This process has the lock that dpkg would take.
            environ_update={"DEBIAN_FRONTEND": "noninteractive", "DPKG_FRONTEND_LOCKED": "1"},
        )
    return ["configured packages"]


def _remove_policy(module: AnsibleModule, root: pathlib.Path) -> list[str]:
    path = root / "usr/sbin/policy-rc.d"
    if not path.is_file() or path.read_text(errors="replace") != _POLICY:
        return []
    if time.time() - path.stat().st_mtime < _SETTLED_SECONDS:
        return []
    if not module.check_mode:
        path.unlink()
    return [f"removed {path}"]


if __name__ == "__main__":
    main()
