"""A site without a lock: what would be pinned is said and asked, and nothing is downloaded unasked."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platformctl.artifacts import fetch
from platformctl.artifacts.lock import Lock, lock_path, write_lock
from platformctl.artifacts.sources import Offer
from platformctl.cli import pinning
from platformctl.cli.main import app
from platformctl.console import Format, Output
from platformctl.errors import ExitCode, PlatformError

OFFERS = [
    Offer("kubeadm", "1.37.2", "https://dl.k8s.io/v1.37.2/bin/linux/amd64/kubeadm"),
    Offer("registry.k8s.io/pause", "3.10.2", "https://registry.k8s.io/v2/pause"),
]


@pytest.fixture
def publishers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Publishers that offer two things; the sources that were pinned."""
    pinned: list[str] = []

    def pin(source: str, lock: Path, **_: object) -> Lock:
        pinned.append(source)
        found = Lock(source, {"binaries/kubeadm": "a" * 64})
        write_lock(lock, found)
        return found

    monkeypatch.setattr(fetch, "unpinned", lambda _source, lock, **_: [] if lock.exists() else OFFERS)
    monkeypatch.setattr(fetch, "pin", pin)
    return pinned


def answering(monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[str]:
    """A person at the terminal; the questions."""
    asked: list[str] = []
    monkeypatch.setattr(pinning.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(pinning.typer, "confirm", lambda question: asked.append(question) or answer)
    return asked


def test_who_agrees_gets_a_lock(
    publishers: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = answering(monkeypatch, True)
    pinning.ensure_lock(Output(), tmp_path, "upstream", None, yes=False)
    assert publishers == ["upstream"]
    assert str(lock_path(tmp_path)) in asked[0]
    shown = capsys.readouterr().out
    for offer in OFFERS:
        assert offer.name in shown
        assert offer.version in shown
        assert offer.address in shown
    pinning.ensure_lock(Output(), tmp_path, "upstream", None, yes=False)
    assert len(asked) == len(publishers) == 1


def test_who_does_not_agree_gets_nothing(
    publishers: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answering(monkeypatch, False)
    with pytest.raises(PlatformError, match="nothing was pinned") as refused:
        pinning.ensure_lock(Output(), tmp_path, "upstream", None, yes=False)
    assert refused.value.code is ExitCode.REFUSED
    assert publishers == []


def test_yes_agrees_without_a_question(publishers: list[str], tmp_path: Path) -> None:
    pinning.ensure_lock(Output(format=Format.JSON), tmp_path, "upstream", None, yes=True)
    assert publishers == ["upstream"]


@pytest.mark.parametrize("output", [Output(), Output(format=Format.JSON)])
def test_a_program_is_told_the_command(
    publishers: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: Output
) -> None:
    monkeypatch.setattr(pinning.sys.stdin, "isatty", lambda: output.json)
    with pytest.raises(PlatformError) as refused:
        pinning.ensure_lock(output, tmp_path, "upstream", None, yes=False)
    assert refused.value.code is ExitCode.REFUSED
    assert refused.value.for_site(tmp_path).next.startswith(f"platformctl artifacts lock -i {tmp_path} ")
    assert publishers == []


def edit(site: Path) -> None:
    """Write a site's own values in place of the example's."""
    for path, old, new in (
        ("hosts.yml", "192.0.2.", "10.20.0."),
        ("group_vars/all/site.yml", "mysite.example", "mysite.internal"),
        ("group_vars/all/users.yml", " Example", ""),
    ):
        (site / path).write_text((site / path).read_text().replace(old, new))


@pytest.mark.parametrize("command", [["install"], ["artifacts", "fetch"]])
def test_a_new_site_is_refused_once_with_the_command(tmp_path: Path, command: list[str]) -> None:
    site = tmp_path / "mysite"
    assert CliRunner().invoke(app, ["init", str(site)]).exit_code == 0
    edit(site)
    platformctl = str(Path(sys.executable).with_name("platformctl"))
    run = [platformctl, *command, "-i", str(site)]
    done = subprocess.run(run, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == ExitCode.REFUSED
    assert (done.stdout + done.stderr).count("no lock") == 1
    assert f"next:  platformctl artifacts lock -i {site} " in done.stderr
