"""One context taken out of somebody's kubeconfig."""

import base64
from pathlib import Path

import pytest
import yaml

from platformctl.clients.kubeconfig import of_file


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
    ("context", "words"), [("nowhere", "has no context 'nowhere'"), ("broken", "no cluster 'c'")]
)
def test_what_is_not_there_is_named(given: Path, context: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        of_file(given, context)


def test_a_file_that_is_no_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("just words")
    with pytest.raises(ValueError, match="no kubeconfig"):
        of_file(tmp_path / "x")
