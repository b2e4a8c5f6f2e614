"""The module that keeps a daemon running on its files, with a systemctl that only remembers."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from platformctl import paths


def asked(folder: Path, **arguments: object) -> list[str]:
    """What the module does to a service whose process is this one."""
    log = folder / "log"
    log.write_text("")
    (folder / "state").write_text(
        "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
        f"MainPID={os.getpid()}\nNeedDaemonReload=no\nFragmentPath=/x\nDropInPaths=\n"
    )
    (folder / "bin").mkdir(exist_ok=True)
    script = folder / "bin/systemctl"
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" != show ] || cat {folder / "state"}\n')
    script.chmod(0o755)
    subprocess.run(
        [sys.executable, str(paths.data_dir() / "playbooks/library/service_current.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"name": "x", **arguments}}),
        env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in log.read_text().splitlines() if not line.startswith("show")]


@pytest.mark.parametrize(
    "written", [True, False], ids=["the file is newer", "a run was killed after the reload"]
)
def test_a_service_that_listens_elsewhere_is_restarted_and_not_reloaded(
    tmp_path: Path, written: bool
) -> None:
    path = tmp_path / "x.conf"
    path.write_text("")
    moment = time.time() + 10 if written else 1
    os.utime(path, (moment, moment))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        arguments = {"files": [str(path)], "reload_command": ["systemctl", "reload-it"]}
        assert asked(tmp_path, listens=port, **arguments) == (["reload-it"] if written else [])
    assert asked(tmp_path, listens=port, **arguments) == ["restart x.service"]
