"""The operator's half of registry_content: send the archives that the registry's host lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Archives are compressed already; Ansible's own ssh_args would compress them again, at ten times the cost of
# sending them. A control path of its own, because connections that share one share the first's compression.
_PLAIN_SSH = {
    "ssh_args": "-o Compression=no -o ControlMaster=auto -o ControlPersist=60s",
    "control_path": "%(directory)s/plain-%%C",
}


class ActionModule(ActionBase):
    """Ask the host what it lacks, send that, and have it unpacked: two calls for any number of archives."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task; see the module of the same name for its arguments."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        sender = {"sender": self._get_remote_user()}
        found: dict[str, Any] = self._execute_module(module_args=arguments | sender, task_vars=task_vars)
        if found.get("failed") or self._task.check_mode or not found["missing"]:
            return result | found
        store = Path(arguments["store"])
        missing = set(found["missing"])
        wanted = {store / path: digest for path, digest in arguments["archives"].items() if digest in missing}
        _check_room(wanted, found["room"])
        with self._uncompressed():
            for archive in wanted:
                self._connection.put_file(str(archive), f"{found['incoming']}/{archive.name}")
        arrived = {archive.name: digest for archive, digest in wanted.items()}
        unpacked: dict[str, Any] = self._execute_module(
            module_args=arguments | {"arrived": arrived}, task_vars=task_vars
        )
        return result | unpacked | {"unpacked": sorted(arrived)}

    @contextmanager
    def _uncompressed(self) -> Iterator[None]:
        if self._connection.transport != "ssh":
            yield
            return
        before = {name: self._connection.get_option(name) for name in _PLAIN_SSH}
        try:
            for name, value in _PLAIN_SSH.items():
                self._connection.set_option(name, value)
            yield
        finally:
            for name, value in before.items():
                self._connection.set_option(name, value)


def _check_room(archives: dict[Path, str], room: int) -> None:
    # Until the last one is unpacked, some lie beside what was unpacked from them.
    needed = 2 * sum(archive.stat().st_size for archive in archives)
    if needed > room:
        raise AnsibleActionFail(
            f"the registry's host has {room >> 20} MiB free and needs {needed >> 20} MiB for the artifacts: "
            "make room in registry_data_path"
        )
