"""Locks: two commands that change the same lab go one after the other."""

import threading
import time
from pathlib import Path

import pytest

from platformctl.lab import state


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_a_second_command_waits_and_says_for_whom() -> None:
    said: list[str] = []
    order: list[str] = []
    held, told = threading.Event(), threading.Event()

    def first() -> None:
        with state.lab_lock("demo", said.append):
            held.set()
            told.wait(5)
            order.append("first")

    def tell(words: str) -> None:
        said.append(words)
        told.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(5)
    with state.lab_lock("demo", tell):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert len(said) == 1
    assert "is changing lab demo" in said[0]


def test_many_commands_never_overlap_and_leave_no_file() -> None:
    inside = 0
    worst = 0

    def work() -> None:
        nonlocal inside, worst
        for _ in range(10):
            with state.lab_lock("demo", lambda _: None):
                inside += 1
                worst = max(worst, inside)
                # Time for another to come in, if it could.
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1
    assert list(state.labs_folder().iterdir()) == []


def test_another_labs_lock_is_another() -> None:
    with state.lab_lock("one", pytest.fail), state.lab_lock("two", pytest.fail):
        pass
