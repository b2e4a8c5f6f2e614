"""The module that makes apt ready to install, with a dpkg that only remembers."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths

ANSIBLES = "#!/bin/sh\nexit 101\n"


class Host:
    """A root folder with a dpkg of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.states = folder, folder / "log", folder / "states"
        self.policy, self.lock = folder / "usr/sbin/policy-rc.d", folder / "var/lib/dpkg/lock-frontend"
        self.updates = folder / "var/lib/dpkg/updates"
        for made in (self.updates, self.policy.parent, folder / "bin"):
            made.mkdir(parents=True)
        self.states.write_text("installed\nconfig-files\n")
        for name, text in {
            "dpkg": f'echo "$@" >> {self.log}; ls {self.policy} >> {self.log} 2>/dev/null || true',
            "dpkg-query": f"cat {self.states}",
        }.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)

    def leave_policy(self, text: str = ANSIBLES, age: float = 3600) -> None:
        self.policy.write_text(text)
        moment = self.policy.stat().st_mtime - age
        os.utime(self.policy, (moment, moment))

    def run(self, **arguments: Any) -> dict[str, Any]:
        """Result of the module; what it asked of dpkg is under `asked`."""
        self.log.write_text("")
        done = subprocess.run(
            [sys.executable, str(paths.data_dir() / "roles/packages/library/packages_ready.py")],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"root": str(self.folder), **arguments}}),
            env=os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        result["asked"] = self.log.read_text().splitlines()
        return result


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_in_order_is_left_alone(host: Host) -> None:
    result = host.run()
    assert (result["changed"], result["asked"]) == (False, [])


@pytest.mark.parametrize("state", ["unpacked", "half-configured", "triggers-pending"])
def test_unfinished_packages_are_configured_while_services_may_not_start(host: Host, state: str) -> None:
    host.states.write_text(f"installed\n{state}\n")
    host.leave_policy()
    asked = host.run()["asked"]
    assert asked[0].endswith("--configure -a")
    assert asked[1:] == [str(host.policy)]
    assert not host.policy.exists()


def test_a_journal_of_dpkg_is_finished(host: Host) -> None:
    (host.updates / "0000").write_text("")
    assert host.run()["changed"]


@pytest.mark.parametrize(("text", "age"), [("#!/bin/sh\n# ours\nexit 101\n", 3600), (ANSIBLES, 0)])
def test_the_sites_own_policy_and_that_of_an_apt_which_just_starts_stay(
    host: Host, text: str, age: float
) -> None:
    host.leave_policy(text, age)
    assert not host.run()["changed"]
    assert host.policy.exists()


def test_nothing_is_touched_while_something_installs(host: Host) -> None:
    host.leave_policy()
    with host.lock.open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        assert not host.run()["changed"]
    assert host.policy.exists()


def test_lists_are_fresh_by_their_own_age(host: Host) -> None:
    lists = host.folder / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    assert host.run()["lists_fresh"] is False, "the folder alone, as in an image without lists"
    (lists / "deb.site.example_dists_trixie_InRelease").write_text("")
    assert host.run()["lists_fresh"] is True
    assert host.run(lists_valid_seconds=0)["lists_fresh"] is False
