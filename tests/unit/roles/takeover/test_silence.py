"""A host whose programs do not answer is not taken for one that has nothing."""

import pytest
from ansible.module_utils.takeover import (  # type: ignore[import-not-found]
    containers,
    host,
    packages,
    units,
)


def _hangs(command):
    return (124, "", f"{command[0]} did not end within 60 s")


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (lambda: units.states(["slurmd.service"]), "systemctl"),
        (packages.installed, "dpkg-query"),
        (packages.on_hold, "apt-mark"),
        (lambda: packages.owners(["/etc/x"]), "dpkg-query"),
        (containers.of_containerd, "ctr"),
        (containers.of_docker, "docker"),
    ],
)
def test_a_question_that_hangs_is_no_answer(monkeypatch, question, asked):
    monkeypatch.setattr(host, "run", lambda *command, **_: _hangs(command))
    with pytest.raises(RuntimeError, match=f"{asked} did not end"):
        question()


def test_a_containerd_that_does_not_answer_is_not_empty(monkeypatch):
    said = 'ctr: failed to dial "/run/containerd/containerd.sock": context deadline exceeded'
    monkeypatch.setattr(host, "run", lambda *_, **__: (1, "", said))
    with pytest.raises(RuntimeError, match="nobody knows what runs there"):
        containers.of_containerd()
    refused = 'ctr: failed to dial "/run/containerd/containerd.sock": connect: connection refused'
    monkeypatch.setattr(host, "run", lambda *_, **__: (1, "", refused))
    assert containers.of_containerd() == {}


def test_a_program_that_is_not_there_has_nothing():
    assert host.ask("no-such-program") == ""


def test_a_program_that_hangs_is_named():
    with pytest.raises(RuntimeError, match=r"sleep did not end within 0 s: sleep 5"):
        host.ask("sleep", "5", seconds=0.2)
