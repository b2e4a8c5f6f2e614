"""The operator's half of registry_content: send the archives that the registry's host lacks."""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Asks the host what it lacks, sends that, and has it unpacked: two calls however many archives there are."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task; see the module of the same name for its arguments."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        found = self._execute_module(
            module_args=arguments | {"sender": self._get_remote_user()}, task_vars=task_vars
        )
        if found.get("failed") or self._task.check_mode or not found["missing"]:
            return result | found
        store = Path(arguments["store"])
        wanted = {
            store / path: digest
            for path, digest in arguments["archives"].items()
            if digest in found["missing"]
        }
        _check_room(wanted, found["room"])
        for archive in wanted:
            self._connection.put_file(str(archive), f"{found['incoming']}/{archive.name}")
        arrived = {archive.name: digest for archive, digest in wanted.items()}
        unpacked = self._execute_module(module_args=arguments | {"arrived": arrived}, task_vars=task_vars)
        return result | unpacked | {"unpacked": sorted(arrived)}


def _check_room(archives: dict[Path, str], room: int) -> None:
    # Until the last one is unpacked, some lie beside what was unpacked from them.
    needed = 2 * sum(archive.stat().st_size for archive in archives)
    if needed > room:
        raise AnsibleActionFail(
            f"the registry's host has {room >> 20} MiB free and needs {needed >> 20} MiB for the artifacts: "
            "make room in registry_data_path"
        )
