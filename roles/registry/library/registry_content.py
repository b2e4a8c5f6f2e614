#!/usr/bin/python
"""The host's half of registry_content: which archives are missing, and unpacking those that have arrived."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import tarfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: registry_content
short_description: Fill a registry's data folder from archives
description: >-
  Sends the archives of the artifact store that the registry does not have yet and unpacks them. An archive is
  in the registry's own storage layout. A marker for its digest is written last, so that a broken run starts
  over.
options:
  store: {description: The artifact store on the operator's machine., type: path, required: true}
  archives: {description: Digest (hex) by the archive's path in the store., type: dict, required: true}
  path: {description: The registry's data folder., type: path, required: true}
  sender: {description: Set by the action plugin - the user who sends archives to the host., type: str}
  arrived: {description: Set by the action plugin - digest by file name in the incoming folder., type: dict}
"""

RETURN = """
missing: {description: Digests of archives that are not unpacked yet., type: list, returned: always}
incoming: {description: Folder on the host that takes archives., type: str, returned: if some are missing}
room: {description: Free bytes for the content., type: int, returned: if some are missing}
"""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "store": {"type": "path"},
            "archives": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            "sender": {"type": "str"},
            "arrived": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    data = pathlib.Path(module.params["path"])
    markers, incoming = data / ".platformctl", data / ".platformctl" / "incoming"
    try:
        if module.params["arrived"] is not None:
            _unpack(module.params["arrived"], incoming, data, markers)
            module.exit_json(changed=True)
        missing = [digest for digest in module.params["archives"].values() if not (markers / digest).exists()]
        if not missing or module.check_mode:
            module.exit_json(changed=bool(missing), missing=missing)
        _open_for(module.params["sender"], incoming)
        room = shutil.disk_usage(data).free
        module.exit_json(changed=True, missing=missing, incoming=str(incoming), room=room)
    except (OSError, tarfile.TarError) as error:
        module.fail_json(msg=f"cannot fill {data}: {error}")


def _open_for(sender: str | None, incoming: pathlib.Path) -> None:
    """Make an empty folder that only the sending user can write to."""
    if incoming.exists():
        shutil.rmtree(incoming)
    incoming.parent.mkdir(parents=True, exist_ok=True)
    incoming.parent.chmod(0o755)
    incoming.mkdir(mode=0o700)
    if sender:
        os.chown(incoming, pwd.getpwnam(sender).pw_uid, -1)


def _unpack(
    arrived: dict[str, str], incoming: pathlib.Path, data: pathlib.Path, markers: pathlib.Path
) -> None:
    for name, digest in arrived.items():
        with tarfile.open(incoming / name) as archive:
            archive.extractall(data, filter="data")
        (markers / digest).touch()
        (incoming / name).unlink()
    incoming.rmdir()


if __name__ == "__main__":
    main()
