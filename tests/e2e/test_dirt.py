"""Hosts as they are: the table of dirt, each row on real hosts, with what must come of it.

Nothing that was there is lost, and "done" is said only when it works. Half of the table is in `make test`;
all of it, pairs of rows and dirt that comes at a bad moment are in `make dirt`, which ends with counts.
PLATFORMCTL_SEED repeats a choice of pairs.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from platformctl import lab as labs
from platformctl.lab.dirt import made, system
from tests.e2e.conftest import PLATFORMCTL, Site, events, made_lab, platformctl
from tests.e2e.situations.situation import Place, Result, Situation, When
from tests.e2e.situations.table import SITUATIONS
from tests.e2e.snapshots import changes, lost, snapshot

SEED = int(os.environ.get("PLATFORMCTL_SEED") or random.randrange(10**6))
_PAIRS = 10
_SECONDS = 1200
_API_PORT = 6443
_FRESH = tuple(row for row in SITUATIONS if row.when is When.FRESH)


def rows(when: When) -> list[object]:
    """The rows of a time as parameters of a test; those that are not quick are for `make dirt` alone."""
    chosen = [row for row in SITUATIONS if row.when is when]
    return [pytest.param(row, id=row.name, marks=() if row.quick else pytest.mark.dirt) for row in chosen]


@pytest.fixture(scope="module")
def bare() -> Iterator[Place]:
    """A lab that nothing was ever installed on."""
    with made_lab("bare") as site:
        yield _place(site)


@pytest.fixture
def installed(site: Site) -> Place:
    """The installed site."""
    return _place(site)


@dataclass
class Run:
    """An installation that runs, and what it has said so far."""

    process: subprocess.Popen[str]
    said: str = ""

    def until(self, stage: str) -> None:
        """Wait until it has ended this stage."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            ends = [one.get("stage") for one in events(line) if one["event"] == "stage_finished"]
            if ends == [stage]:
                return
        raise AssertionError(f"the installation ended before {stage}:\n{self.said}")

    def end(self) -> int:
        """Wait until it ends; returns its exit status."""
        self.said += self.process.communicate(timeout=_SECONDS)[0]
        return self.process.returncode


def _installation(place: Place) -> Run:
    command = [PLATFORMCTL, "--output", "json", "install", "--yes", "-i", str(place.site.inventory)]
    return Run(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


@dataclass
class Dirty:
    """A site that was installed on hosts with every situation of its time at once, and is reset later."""

    place: Place
    after_kill: subprocess.CompletedProcess[str]
    between_stages: Run
    said: str
    again: str


@pytest.fixture(scope="module")
def dirty() -> Iterator[Dirty]:
    """The lab with all dirt that is there before an installation, installed.

    The first installation was killed, and more dirt came before the second. The third met dirt that came
    while it ran.
    """
    with made_lab("dirty") as site, ExitStack() as stack:
        place = _place(site)
        for row in sorted(_FRESH, key=lambda row: row.passes):
            stack.enter_context(row.dirt(place))
        killed = _installation(place)
        killed.until("registry")
        killed.process.kill()
        killed.end()
        with system.listener(place.lab, "ctl1", _API_PORT):
            after_kill = _ask(place, "install", "--yes")
        met = _installation(place)
        met.until("preflight")
        with system.listener(place.lab, "ctl1", _API_PORT):
            met.end()
        done = _ask(place, "install", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        again = _ask(place, "install")
        assert again.returncode == 0, again.stdout + again.stderr
        said = killed.said + met.said + done.stdout + done.stderr
        yield Dirty(place, after_kill, met, said, again.stdout)


@pytest.mark.lab
@pytest.mark.parametrize("row", rows(When.BARE))
def test_dirt_on_bare_hosts(bare: Place, row: Situation) -> None:
    with row.dirt(bare):
        before = snapshot(bare.lab)
        done = _ask(bare, *(row.command or ("preflight",)))
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == (row.result in (Result.WORKS, Result.NAMED)), said
        assert row.code in (None, done.returncode), said
        _says(row, said)
        changed = changes(before, snapshot(bare.lab))
        assert not (lost(changed) if row.begun else changed)
        row.kept(bare)
    if row.begun:
        again = _ask(bare, "reset", "--yes", "lab", *row.command[row.command.index("--limit") :])
        assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.lab
@pytest.mark.parametrize("row", rows(When.INSTALLED))
def test_dirt_on_an_installed_site(installed: Place, row: Situation) -> None:
    try:
        with row.dirt(installed):
            before = snapshot(installed.lab) if row.result is Result.REFUSED else {}
            if row.result in (Result.NAMED, Result.HEALTHY) and row.words:
                shown = _ask(installed, *(row.command or ("plan",)))
                assert row.code in (None, shown.returncode), shown.stdout + shown.stderr
                _says(row, shown.stdout + shown.stderr)
            command = (row.command if row.result is Result.REFUSED else ()) or ("install", "--yes")
            done = _ask(installed, *command)
            said = done.stdout + done.stderr
            if row.result is Result.REFUSED:
                assert done.returncode not in (0, None), said
                assert row.code in (None, done.returncode), said
                _says(row, said)
                changed = changes(before, snapshot(installed.lab))
                own = tuple(f" running {unit} " for unit in row.tried)
                assert not [line for line in changed if not any(name in line for name in own)]
            else:
                assert done.returncode == 0, said
                _healthy(installed, said)
            row.kept(installed)
    finally:
        after = _ask(installed, "install", "--yes")
    assert after.returncode == 0, after.stdout + after.stderr
    _healthy(installed, after.stdout)


@pytest.mark.lab
@pytest.mark.dirt
def test_dirt_that_comes_after_a_kill_is_refused(dirty: Dirty) -> None:
    said = dirty.after_kill.stdout + dirty.after_kill.stderr
    assert dirty.after_kill.returncode not in (0, None)
    assert f"port {_API_PORT}" in said


@pytest.mark.lab
@pytest.mark.dirt
def test_dirt_that_comes_between_two_stages_is_named(dirty: Dirty) -> None:
    assert dirty.between_stages.process.returncode not in (0, None)
    assert str(_API_PORT) in dirty.between_stages.said


@pytest.mark.lab
@pytest.mark.dirt
@pytest.mark.parametrize("row", rows(When.FRESH))
def test_dirt_before_the_installation(dirty: Dirty, row: Situation) -> None:
    _says(row, dirty.said)
    row.kept(dirty.place)


@pytest.mark.lab
@pytest.mark.dirt
def test_a_site_on_dirty_hosts_is_healthy_and_has_nothing_to_do(dirty: Dirty) -> None:
    assert "nothing to do" in dirty.again
    _healthy(dirty.place, dirty.said)
    proven = _ask(dirty.place, "verify")
    assert proven.returncode == 0, proven.stdout + proven.stderr


@pytest.mark.lab
@pytest.mark.dirt
def test_a_reset_goes_on_past_what_it_cannot_remove(dirty: Dirty) -> None:
    hide = "mkdir -p /etc/kubernetes/theirs && mount -t tmpfs theirs /etc/kubernetes/theirs"
    with made.made(dirty.place.lab, "node1", hide, "umount /etc/kubernetes/theirs"):
        done = _ask(dirty.place, "reset", "--yes", "lab")
        said = done.stdout + done.stderr
        assert done.returncode not in (0, None), said
        assert "/etc/kubernetes" in said
        for host in ("ctl1", "node2"):
            dirty.place.site.host(host, "test", "!", "-e", "/var/lib/platformctl")


@pytest.mark.lab
@pytest.mark.dirt
def test_what_was_there_is_back_after_reset(dirty: Dirty) -> None:
    done = _ask(dirty.place, "reset", "--yes", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in _FRESH:
        row.restored(dirty.place)


@pytest.mark.lab
@pytest.mark.dirt
@pytest.mark.parametrize("number", range(_PAIRS))
def test_two_situations_at_once(bare: Place, number: int) -> None:
    chosen = random.Random(SEED + number)
    refused = [row for row in SITUATIONS if row.when is When.BARE and row.result is Result.REFUSED]
    one, other = chosen.sample([row for row in refused if not row.hides and not row.command], 2)
    sys.stdout.write(f"PLATFORMCTL_SEED={SEED}, pair {number}: {one.name}; {other.name}\n")
    with one.dirt(bare), other.dirt(bare):
        before = snapshot(bare.lab)
        done = _ask(bare, "preflight")
        assert done.returncode != 0
        for row in (one, other):
            _says(row, done.stdout + done.stderr)
        assert not changes(before, snapshot(bare.lab))


@contextmanager
def _planned_before(place: Place) -> Iterator[None]:
    """A plan was made while the hosts were clean."""
    done = _ask(place, "plan")
    assert done.returncode == 0, done.stdout + done.stderr
    yield


@pytest.mark.lab
@pytest.mark.dirt
def test_dirt_that_comes_between_plan_and_install_is_refused(bare: Place) -> None:
    chosen = random.Random(SEED)
    refused = [row for row in SITUATIONS if row.when is When.BARE and row.result is Result.REFUSED]
    row = chosen.choice([row for row in refused if not row.hides and not row.command])
    sys.stdout.write(f"PLATFORMCTL_SEED={SEED}: {row.name}\n")
    with _planned_before(bare), row.dirt(bare):
        before = snapshot(bare.lab)
        done = _ask(bare, "install", "--yes")
        assert done.returncode != 0
        _says(row, done.stdout + done.stderr)
        host = next(word for word in row.words if word in before)
        assert not [line for line in changes(before, snapshot(bare.lab)) if line.startswith(f"{host}: -")]


def _place(site: Site) -> Place:
    lab = labs.find(site.lab)
    assert lab is not None
    return Place(site, lab)


def _ask(place: Place, *command: str) -> subprocess.CompletedProcess[str]:
    """A command on the site. In JSON, since a table breaks its lines."""
    arguments = ("--output", "json", *command, "-i", str(place.site.inventory))
    return platformctl(*arguments, seconds=_SECONDS)


def _says(row: Situation, said: str) -> None:
    told = " ".join(said.lower().split())
    missing = [word for word in row.words if word.lower() not in told]
    assert not missing, f"not said: {missing}\n{said}"


def _healthy(place: Place, said: str) -> None:
    shown = _ask(place, "status")
    assert shown.returncode == 0, f"{said}\n{shown.stdout}{shown.stderr}"
