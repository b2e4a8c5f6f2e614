"""What is said while a stage is silent."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platformctl.engine import remote
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from platformctl.engine.running import waiting
from platformctl.engine.running.journal import Journal
from platformctl.engine.running.progress import Lines
from platformctl.engine.running.redact import Redactor
from platformctl.engine.running.waiting import Watch
from tests.unit.engine.sites import make_fleet

FLEET = make_fleet({f"n{number}": () for number in range(1, 9)})
PROBE = Path(waiting.__file__).with_name("waiting_probe.py")


class Answers:
    """Hosts that all give one answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.out = json.dumps(
            {"notes": [{"stage": "base", "words": "waits for apt", "detail": "x"}], "runs": []}
        )

    async def run(self, connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
        self.asked.append(connection.address)
        return Reply(0, self.out, "")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers()
    monkeypatch.setattr(remote, "run", found.run)
    monkeypatch.setattr(waiting, "_FIRST_SECONDS", 0.5)
    monkeypatch.setattr(waiting, "_NEXT_SECONDS", 0.5)
    return found


async def events(
    folder: Path, seconds: float, pending: tuple[str, ...], talk: bool = False
) -> list[dict[str, Any]]:
    found: list[Any] = []
    with Journal(folder / "run", Redactor(["s3cret-word"]), found.append) as journal:
        watch = Watch(FLEET, journal, "base", lambda: pending)
        task = asyncio.create_task(watch.run())
        for _ in range(int(seconds * 10)):
            await asyncio.sleep(0.1)
            if talk:
                watch.heard()
        task.cancel()
    return found


async def test_a_silent_stage_says_what_it_waits_for_and_repeats_nothing(
    answers: Answers, tmp_path: Path
) -> None:
    found = await events(tmp_path, 2.6, ("n1", "n2"))
    assert len(answers.asked) >= 4
    (event,) = found
    assert (event["stage"], event["hosts"], event["words"]) == ("base", ["n1", "n2"], "waits for apt")
    lines: list[str] = []
    Lines(lines.append).show(event)
    assert "base on n1, n2: waits for apt" in lines[0]


async def test_a_line_comes_once_a_task_even_if_its_details_change(answers: Answers, tmp_path: Path) -> None:
    found: list[Any] = []
    with Journal(tmp_path / "run", Redactor([]), found.append) as journal:
        watch = Watch(FLEET, journal, "base", lambda: ("n1",))
        for number, begins in enumerate([False, False, True]):
            watch.heard(begins)
            note = {"stage": "base", "words": "apt-get installs tree", "detail": str(number)}
            answers.out = json.dumps({"notes": [note]})
            await watch._tell()
    assert [event["new"] for event in found] == [True, False, True]


async def test_a_stage_that_talks_asks_nobody(answers: Answers, tmp_path: Path) -> None:
    assert await events(tmp_path, 2.2, ("n1",), talk=True) == []
    assert answers.asked == []


async def test_of_a_large_fleet_a_few_are_asked(answers: Answers, tmp_path: Path) -> None:
    await events(tmp_path, 1.3, tuple(FLEET.hosts))
    assert len(answers.asked) == 4


async def test_secrets_in_commands_are_hidden(answers: Answers, tmp_path: Path) -> None:
    answers.out = json.dumps(
        {"notes": [], "runs": [{"stage": "base", "words": "runs mariadb -ps3cret-word"}]}
    )
    (event,) = await events(tmp_path, 1.3, ("n1",))
    assert event["words"] == "runs mariadb -p(hidden)"


@pytest.mark.parametrize("out", ["", "Welcome!", "[]", "3", '{"notes": 5}'])
async def test_an_answer_that_is_none_says_nothing(answers: Answers, out: str) -> None:
    answers.out = out
    assert await waiting.ask(FLEET, "n1", "base") == []


@pytest.mark.parametrize("kind", ["notes", "runs"])
async def test_what_other_stages_wait_for_is_not_told_as_this_ones(answers: Answers, kind: str) -> None:
    answers.out = json.dumps({kind: [{"stage": "base", "words": "runs apt-get"}]})
    assert await waiting.ask(FLEET, "n1", "munge") == []
    assert await waiting.ask(FLEET, "n1", "base") == [waiting.Wait("runs apt-get")]


def probe() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-"], input=PROBE.read_text(), capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_probe_names_the_program_that_a_module_runs(tmp_path: Path) -> None:
    script = tmp_path / "renew-it"
    os.mkfifo(tmp_path / "never")
    script.write_text(f"#!/bin/bash\nread -t 30 line <> {shlex.quote(str(tmp_path / 'never'))}\n")
    script.chmod(0o755)
    module = f"import subprocess; subprocess.run([{str(script)!r}, 'ctl1'])"
    # As Ansible starts a module with pipelining: the interpreter without arguments.
    process = subprocess.Popen(
        [sys.executable],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PLATFORMCTL_STAGE": "tls"},
    )
    assert process.stdin
    try:
        process.stdin.write(module)
        process.stdin.close()
        for _ in range(100):
            if runs := [run for run in probe()["runs"] if "renew-it" in run["words"]]:
                break
        assert runs == [{"stage": "tls", "words": "runs renew-it ctl1"}]
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_the_probe_names_who_holds_a_lock(tmp_path: Path) -> None:
    lock = shlex.quote(str(tmp_path / "lock"))
    holder = subprocess.Popen(["flock", str(tmp_path / "lock"), "sleep", "30"], start_new_session=True)
    process = subprocess.Popen([sys.executable], stdin=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdin
    try:
        process.stdin.write(f"import subprocess; subprocess.run(['bash', '-c', 'exec 9>{lock}; flock 9; :'])")
        process.stdin.close()
        for _ in range(100):
            if runs := [run for run in probe()["runs"] if f"process {holder.pid}" in run["words"]]:
                break
        assert "which waits for a lock of" in runs[0]["words"]
    finally:
        for running in (process, holder):
            os.killpg(running.pid, 9)
            running.wait()
