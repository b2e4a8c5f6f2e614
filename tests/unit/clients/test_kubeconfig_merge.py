"""A kubeconfig that is added to a file with others: nothing of theirs is lost or changed."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.clients import kubeconfig_merge
from platformctl.clients.kubeconfig import Entries, read
from platformctl.errors import ExitCode, PlatformError

OTHER = """\
# by hand
kind: Config
apiVersion: v1
current-context: work
clusters:
- name: work
  cluster: {server: 'https://work.example:6443', insecure-skip-tls-verify: true}
contexts:
- name: work
  context:
    cluster: work
    user: kubernetes-admin
    namespace: "0123"
users:
- name: kubernetes-admin
  user: {token: 0777, as: yes}
preferences: {colors: true}
"""


def ours(server: str = "https://192.0.2.1:6443", authority: str = "QQ==", token: str = "t") -> dict[str, Any]:
    context = {"cluster": "lab", "user": "kubernetes-admin"}
    cluster = {"server": server, "certificate-authority-data": authority}
    return Entries("kubernetes-admin@lab", context, cluster, {"token": token}).document()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(OTHER)
    return path


def beside(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


def test_other_entries_are_kept_to_the_letter_and_the_current_context_too(file: Path) -> None:
    done = kubeconfig_merge.add(ours(), file)
    old, new = yaml.compose(OTHER), yaml.compose(file.read_text())
    texts = {yaml.serialize(value) for key, value in new.value if key.value == "preferences"}
    assert texts == {yaml.serialize(value) for key, value in old.value if key.value == "preferences"}
    for kind in ("clusters", "users", "contexts"):
        before, after = (next(v for k, v in root.value if k.value == kind).value for root in (old, new))
        assert [yaml.serialize(item) for item in after[:1]] == [yaml.serialize(item) for item in before]
    assert "token: 0777, as: yes" in file.read_text()
    assert read([file]).name == "work" == done.current
    assert read([file], done.context).cluster["server"] == "https://192.0.2.1:6443"
    assert done.kept == ("work",)


def test_the_old_file_stays_beside_and_only_the_owner_reads_both(file: Path) -> None:
    file.chmod(0o644)
    done = kubeconfig_merge.add(ours(), file)
    assert done.copy is not None
    assert done.copy.read_text() == OTHER
    assert beside(file) == [done.copy.name]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, done.copy)] == [0o600, 0o600]


def test_a_name_that_another_cluster_uses_stays_and_ours_gets_another(file: Path) -> None:
    done = kubeconfig_merge.add(ours(), file)
    assert done.renamed == (("user", "kubernetes-admin", "kubernetes-admin-lab"),)
    assert read([file], "work").user == {"token": 0o777, "as": True}
    assert read([file], done.context).user == {"token": "t"}


def test_the_same_again_replaces_only_its_own(file: Path) -> None:
    first = kubeconfig_merge.add(ours(), file)
    once = file.read_text()
    again = kubeconfig_merge.add(ours(), file)
    assert (file.read_text(), again.copy) == (once, None)
    renewed = kubeconfig_merge.add(ours(token="new"), file)
    assert renewed.context == first.context
    assert read([file], renewed.context).user == {"token": "new"}
    assert len(yaml.safe_load(file.read_text())["users"]) == 2


def test_a_cluster_of_the_same_name_elsewhere_is_kept(file: Path) -> None:
    kubeconfig_merge.add(ours(), file)
    done = kubeconfig_merge.add(ours("https://198.51.100.7:6443", "Qg==", "elsewhere"), file)
    assert ("cluster", "lab", "lab-198.51.100.7") in done.renamed
    assert read([file], "kubernetes-admin@lab").user == {"token": "t"}
    found = read([file], done.context)
    assert (found.cluster["server"], found.user) == ("https://198.51.100.7:6443", {"token": "elsewhere"})


@pytest.mark.parametrize(
    "moved", [ours("https://198.51.100.7:6443", "QQ=="), ours(authority="Qg==")], ids=["address", "authority"]
)
def test_a_cluster_that_moved_or_was_made_anew_replaces_itself(file: Path, moved: dict[str, Any]) -> None:
    first = kubeconfig_merge.add(ours(), file)
    assert kubeconfig_merge.add(moved, file).context == first.context
    assert len(yaml.safe_load(file.read_text())["clusters"]) == 2


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "clusters: null\nusers: []\n", "current-context: gone\n"]
)
def test_a_file_without_contexts_gets_ours_as_the_current_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    done = kubeconfig_merge.add(ours(), file)
    assert read([file]).name == done.context == done.current == "kubernetes-admin@lab"
    assert beside(file) == []


def test_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config"
    kubeconfig_merge.check(file)
    assert not file.parent.exists()
    kubeconfig_merge.add(ours(), file)
    assert read([file]).user == {"token": "t"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert beside(file) == []


def test_a_file_in_json_stays_json(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(yaml.safe_load(OTHER)))
    done = kubeconfig_merge.add(ours(), file)
    assert file.read_text().startswith("{")
    assert read([file]).name == "work"
    assert read([file], done.context).user == {"token": "t"}


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file.name)
    kubeconfig_merge.add(ours(), link)
    assert link.is_symlink()
    assert read([file], "kubernetes-admin@lab").user == {"token": "t"}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- a\n- b\n",
        "kind: Secret\n",
        "text",
        "clusters: [a]\n",
        "users: {a: b}\n",
        "a: b\n---\nc: d\n",
        "\0",
    ],
)
def test_what_is_no_kubeconfig_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    for call in (lambda: kubeconfig_merge.check(file), lambda: kubeconfig_merge.add(ours(), file)):
        with pytest.raises(PlatformError, match="is not a kubeconfig") as caught:
            call()
        assert (caught.value.code, caught.value.where) == (ExitCode.INVALID, str(file))
    assert file.read_text() == text
    assert beside(file) == []


def test_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is a folder"):
        kubeconfig_merge.check(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(PlatformError, match="is not a regular file"):
            kubeconfig_merge.check(path)


def test_a_path_below_a_file_is_refused_in_words(file: Path) -> None:
    for call in (kubeconfig_merge.check, lambda path: kubeconfig_merge.add(ours(), path)):
        with pytest.raises(PlatformError, match="cannot be written") as caught:
            call(file / "below")
        assert caught.value.code is ExitCode.INVALID


def test_a_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlatformError, match="No space left on device"):
        kubeconfig_merge.add(ours(), file)
    assert file.read_text() == OTHER
    assert not [name for name in beside(file) if "before" not in name]


def test_kubectls_lock_is_respected_and_taken_back(file: Path) -> None:
    lock = file.with_name("config.lock")
    lock.touch()
    with pytest.raises(PlatformError, match=r"config\.lock is there") as caught:
        kubeconfig_merge.add(ours(), file)
    assert f"rm {lock}" in caught.value.next
    assert file.read_text() == OTHER
    lock.unlink()
    kubeconfig_merge.add(ours(), file)
    assert not lock.exists()


def test_of_a_list_the_first_file_that_exists_is_changed(file: Path, tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("none", "config", "other")]
    assert kubeconfig_merge.chosen(os.pathsep.join(names)) == file
    assert kubeconfig_merge.chosen(os.pathsep.join([names[0], names[2]])) == Path(names[2])
    odd = tmp_path / "a:b"
    odd.touch()
    assert kubeconfig_merge.chosen(str(odd)) == odd
    with pytest.raises(PlatformError, match="names no file"):
        kubeconfig_merge.chosen(":")
