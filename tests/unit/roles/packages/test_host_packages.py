"""The module that installs packages, with a dpkg and an apt-get that only remember."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths

ANSIBLES = "#!/bin/sh\nexit 101\n"
MODULE = paths.data_dir() / "roles/packages/library/host_packages.py"
DEAD = """Get:1 http://deb.site.example/debian trixie InRelease
Err:2 http://192.0.2.1/extra trixie InRelease
E: Failed to fetch http://192.0.2.1/extra/dists/trixie/InRelease  Could not connect to 192.0.2.1:80, timed out
E: Some index files failed to download. They have been ignored, or old ones used instead.
"""


class Host:
    """A root folder with a dpkg and an apt-get of its own.

    said: by the first two words of a command, what it prints and with which status it ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.states = folder, folder / "log", folder / "states"
        self.policy, self.lock = folder / "usr/sbin/policy-rc.d", folder / "var/lib/dpkg/lock-frontend"
        self.updates, self.lists = folder / "var/lib/dpkg/updates", folder / "var/lib/apt/lists"
        self.sources = folder / "etc/apt/sources.list.d"
        for made in (self.updates, self.policy.parent, folder / "bin", self.lists, self.sources):
            made.mkdir(parents=True)
        self.states.write_text("munge munge:amd64 0.5 installed\nold old:amd64 1 config-files\n")
        (self.lists / "deb.site.example_dists_trixie_InRelease").touch()
        remember = f'echo "${{0##*/}} $*" >> {self.log}; ls {self.policy} >> {self.log} 2>/dev/null; '
        answer = f"cat {folder}/said-$1 2>/dev/null; exit $(cat {folder}/code-$1 2>/dev/null || echo 0)"
        for name, text in {
            "dpkg": f"{remember} true",
            "dpkg-query": f"cat {self.states}",
            "apt-get": remember + answer,
        }.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)

    def says(self, verb: str, text: str, code: int = 0) -> None:
        """What apt-get answers to a verb."""
        (self.folder / f"said-{verb}").write_text(text)
        (self.folder / f"code-{verb}").write_text(str(code))

    def leave_policy(self, text: str = ANSIBLES, age: float = 3600) -> None:
        self.policy.write_text(text)
        moment = self.policy.stat().st_mtime - age
        os.utime(self.policy, (moment, moment))

    def run(self, *names: str, **arguments: Any) -> dict[str, Any]:
        """Result of the module; what it asked of dpkg and apt-get is under `asked`."""
        self.log.write_text("")
        done = subprocess.run(
            [sys.executable, str(MODULE)],
            input=json.dumps(
                {"ANSIBLE_MODULE_ARGS": {"root": str(self.folder), "names": names, **arguments}}
            ),
            env=os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        asked = self.log.read_text().splitlines()
        result["asked"] = [" ".join(line.split()[:2]) for line in asked if not line.startswith("/")]
        result["with_policy"] = [line for line in asked if line.startswith("/")]
        result["commands"] = asked
        return result


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_in_order_is_left_alone(host: Host) -> None:
    result = host.run("munge", "munge=0.5", "munge:amd64")
    assert (result["changed"], result["asked"]) == (False, [])


def test_what_is_missing_is_installed_while_services_may_not_start(host: Host) -> None:
    result = host.run("munge", "slurmd")
    assert result["asked"] == ["apt-get update", "apt-get install"]
    assert result["commands"][-2].endswith("--no-remove slurmd")
    assert result["with_policy"] == [str(host.policy)]
    assert not host.policy.exists()
    assert result["done"] == ["read the package lists", "installed slurmd"]
    assert host.run("slurmd")["asked"] == ["apt-get install"], "the lists are fresh now"


def test_another_version_is_not_the_one_that_is_wanted(host: Host) -> None:
    assert "apt-get install" in host.run("munge=0.6")["asked"]


def test_a_name_that_is_provided_already_is_no_change(host: Host) -> None:
    host.says("install", "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
    assert host.run("mail-transport-agent")["changed"] is False


def test_the_sites_own_policy_comes_back(host: Host) -> None:
    own = "#!/bin/sh\n# ours\nexit 101\n"
    host.leave_policy(own)
    host.says("install", "E: no\n", 100)
    assert host.run("slurmd")["failed"]
    assert host.policy.read_text() == own


def test_a_policy_and_the_sites_own_are_put_right_after_a_kill(host: Host) -> None:
    host.leave_policy(
        "#!/bin/sh\n# Of platformctl, while it installs packages: no service starts by itself.\nexit 101\n", 0
    )
    host.policy.with_name("policy-rc.d.platformctl").write_text("own")
    assert host.run()["changed"]
    assert host.policy.read_text() == "own"


@pytest.mark.parametrize("state", ["unpacked", "half-configured", "triggers-pending"])
def test_unfinished_packages_are_configured_while_services_may_not_start(host: Host, state: str) -> None:
    host.states.write_text(f"{state}\n")
    host.leave_policy()
    result = host.run()
    assert result["commands"][0].endswith("--configure -a")
    assert result["with_policy"] == [str(host.policy)]
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


def test_a_source_that_does_not_answer_is_named_with_its_reason_and_file_each_time(host: Host) -> None:
    (host.sources / "extra.list").write_text("deb http://192.0.2.1/extra trixie main\n")
    host.says("update", DEAD, 100)
    for _ in range(2):
        result = host.run("slurmd")
        assert result["failed"]
        assert "Could not connect to 192.0.2.1:80, timed out" in result["msg"]
        assert "extra.list" in result["msg"]
        assert "Some index files" not in result["msg"]
        assert result["asked"] == ["apt-get update"]
        # As apt leaves the lists of the sources that do answer.
        (host.lists / "deb.site.example_dists_trixie_InRelease").touch()


def test_an_older_apt_that_only_warns_fails_too(host: Host) -> None:
    host.says("update", DEAD.replace("E: ", "W: "), 0)
    assert "Could not connect" in host.run("slurmd")["msg"]


def test_lists_are_old_by_age_and_when_the_sources_change(host: Host) -> None:
    host.run("slurmd")
    assert host.run("slurmd", lists_valid_seconds=0)["asked"] == ["apt-get update", "apt-get install"]
    time.sleep(0.02)
    (host.sources / "new.sources").write_text("")
    assert host.run("slurmd")["asked"] == ["apt-get update", "apt-get install"]


def test_without_lists_they_are_read(host: Host) -> None:
    host.run("slurmd")
    (host.lists / "deb.site.example_dists_trixie_InRelease").unlink()
    assert host.run("slurmd")["asked"] == ["apt-get update", "apt-get install"]


def test_lists_that_the_mirror_has_left_behind_are_read_again(host: Host) -> None:
    host.run("slurmd")
    host.says("install", "E: Unable to locate package slurmd\n", 100)
    result = host.run("slurmd")
    assert result["asked"] == ["apt-get install", "apt-get update", "apt-get install"]
    assert result["msg"] == "E: Unable to locate package slurmd"


def test_a_removal_is_refused_with_the_names(host: Host) -> None:
    said = "Remv docker-ce [1]\nRemv containerd.io [1]\nE: Packages need removal but remove is disabled.\n"
    host.says("install", said, 100)
    assert host.run("containerd")["msg"].startswith(
        "apt would remove docker-ce, containerd.io for containerd, so nothing was installed"
    )


def test_it_waits_for_who_holds_the_lock_and_says_who(host: Host) -> None:
    noted: list[str] = []

    def look() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and not noted:
            for note in (host.folder / "run/platformctl/waiting").glob("*"):
                text = note.read_text()
                if text and (words := json.loads(text)["words"]):
                    noted.append(words)
            time.sleep(0.05)
        fcntl.lockf(lock, fcntl.LOCK_UN)

    with host.lock.open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        watcher = threading.Thread(target=look)
        watcher.start()
        result = host.run("slurmd")
        watcher.join()
    assert result["changed"]
    assert f"(process {os.getpid()}), which holds the lock of dpkg or apt" in noted[0]
    assert list((host.folder / "run/platformctl/waiting").iterdir()) == []


def test_a_lock_that_is_held_for_too_long_is_named(host: Host) -> None:
    with host.lock.open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        result = host.run("slurmd", lock_seconds=1)
    assert f"(process {os.getpid()}) has kept packages from being installed for 1 s" in result["msg"]
    assert result["asked"] == []


def test_words_of_dpkg_are_shown(host: Host) -> None:
    host.says(
        "install", "Setting up x\ndpkg: error processing package x (--configure):\n exit status 1\n", 100
    )
    assert "dpkg: error processing package x" in host.run("x")["msg"]
