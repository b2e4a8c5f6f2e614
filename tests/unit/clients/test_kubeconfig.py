"""Kubeconfigs: one context taken out of somebody's, and files that only their owner reads."""

import base64
import stat
from pathlib import Path

import pytest
import yaml

from platformctl.clients.kubeconfig import credentials, entries, for_operator, of_file, private_file

DOCUMENT = {"kind": "Config", "users": [{"name": "admin", "user": {"token": "secret"}}]}


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_text("an authority")
    document = {
        "current-context": "here",
        "clusters": [
            {"name": "a", "cluster": {"server": "https://a.example", "certificate-authority": "pki/ca.crt"}},
            {"name": "b", "cluster": {"server": "https://b.example"}},
        ],
        "users": [{"name": "root", "user": {"token": "t"}}, {"name": "other", "user": {"token": "u"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "a", "user": "root"}},
            {"name": "there", "context": {"cluster": "b", "user": "other"}},
            {"name": "broken", "context": {"cluster": "c", "user": "other"}},
        ],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context_with_its_files_inside(given: Path) -> None:
    found = of_file(given)
    assert found["current-context"] == "here"
    (cluster,) = found["clusters"]
    authority = base64.b64encode(b"an authority").decode()
    assert cluster["cluster"] == {"server": "https://a.example", "certificate-authority-data": authority}
    assert [user["name"] for user in found["users"]] == ["root"]


def test_a_named_context_takes_only_its_own_credentials(given: Path) -> None:
    found = of_file(given, "there")
    assert found["clusters"][0]["cluster"]["server"] == "https://b.example"
    assert "root" not in yaml.safe_dump(found)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("nowhere", "there is no context 'nowhere'; contexts are: here, there, broken"),
        ("broken", "the context 'broken' names no cluster with a server"),
    ],
)
def test_what_is_not_there_is_named(given: Path, context: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        of_file(given, context)


def test_a_file_that_is_no_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("just words")
    with pytest.raises(ValueError, match="x is not a kubeconfig"):
        of_file(tmp_path / "x")


def test_the_administrator_reaches_the_api_by_an_address_and_still_knows_it_by_its_name(given: Path) -> None:
    admin = given.read_text().replace("a.example", "api.lab.example:6443")
    found = for_operator(admin, "192.0.2.11", "api.x")
    (cluster,) = found["clusters"]
    assert cluster["cluster"]["server"] == "https://192.0.2.11:6443"
    assert cluster["cluster"]["tls-server-name"] == "api.x"
    assert [user["name"] for user in found["users"]] == ["root"]


def test_a_private_file_is_its_owners_alone_and_does_not_stay() -> None:
    with private_file(DOCUMENT) as path:
        assert yaml.safe_load(path.read_text()) == DOCUMENT
        assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]
    assert not path.parent.exists()


def test_a_private_file_does_not_outlive_an_error() -> None:
    left: list[Path] = []
    with pytest.raises(RuntimeError), private_file(DOCUMENT) as path:  # noqa: PT012
        left.append(path)
        raise RuntimeError
    assert not left[0].parent.exists()


def test_an_administrators_program_gives_its_credentials_when_they_are_needed(given: Path) -> None:
    program = {"command": "echo", "args": ['{"status": {"token": "from-a-program"}}']}
    document = yaml.safe_load(given.read_text())
    document["users"][0]["user"] = {"exec": program}
    given.write_text(yaml.safe_dump(document))
    kept = of_file(given)
    assert kept["users"] == [{"name": "root", "user": {"exec": program}}]
    assert credentials(entries(kept).user)["token"] == "from-a-program"
