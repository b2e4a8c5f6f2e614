import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.clients.context import kubeconfig_files, read_context


def write(path: Path, name: str, current: str = "", namespace: str = "", **user: Any) -> Path:
    context = {"cluster": name, "user": name, **({"namespace": namespace} if namespace else {})}
    document = {
        "current-context": current,
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}"}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_files_are_sought_as_kubectl_seeks_them(tmp_path: Path) -> None:
    home = {"HOME": "/home/alice"}
    assert kubeconfig_files(None, home) == [Path("/home/alice/.kube/config")]
    assert kubeconfig_files(None, {**home, "KUBECONFIG": "/a::/b"}) == [Path("/a"), Path("/b")]
    assert kubeconfig_files(Path("/c"), {**home, "KUBECONFIG": "/a"}) == [Path("/c")]


def test_files_are_merged_and_the_first_decides(tmp_path: Path) -> None:
    files = [
        tmp_path / "absent",
        write(tmp_path / "one", "one", namespace="team1", token="a"),
        write(tmp_path / "two", "two", current="two", token="b"),
    ]
    current = read_context(files)
    assert (current.name, current.connection.server, current.namespace) == ("two", "http://two", "default")
    named = read_context(files, "one")
    assert (named.connection.token, named.namespace) == ("a", "team1")


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    found = read_context([write(tmp_path / "config", "x", current="x", tokenFile="token")])
    assert found.connection.token_file == tmp_path / "token"


def test_a_program_may_give_the_credentials(tmp_path: Path) -> None:
    program = tmp_path / "login"
    answer = json.dumps({"kind": "ExecCredential", "status": {"token": "from-a-program"}})
    program.write_text(
        f'#!/bin/sh\n[ "$WHO" = alice ] && [ -n "$KUBERNETES_EXEC_INFO" ] && echo \'{answer}\'\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    plugin["env"] = [{"name": "WHO", "value": "alice"}]  # type: ignore[assignment]
    found = read_context([write(tmp_path / "config", "x", current="x", exec=plugin)])
    assert found.connection.token == "from-a-program"


@pytest.mark.parametrize("command", ["/no/such/program", "false", "true"])
def test_a_program_that_gives_none_is_named(tmp_path: Path, command: str) -> None:
    path = write(tmp_path / "config", "x", current="x", exec={"command": command, "installHint": "ask us"})
    with pytest.raises(ValueError, match=f"{command} gave no credentials.*ask us"):
        read_context([path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clusters: [", "is not a kubeconfig"),
        ("- 1", "is not a kubeconfig"),
        ("contexts: [{context: {}}]", "is not a kubeconfig"),
        ("{}", "no context"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: y}}]}", "names no cluster"),
        ("{current-context: z, contexts: [{name: x}]}", "there is no context 'z'; contexts are: x"),
    ],
)
def test_what_is_no_kubeconfig_is_an_error_in_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_context([tmp_path / "config"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = tmp_path / ".kube" / "config"
    with pytest.raises(ValueError, match=f"^the file {config} does not exist$"):
        read_context(kubeconfig_files(None, {"HOME": os.fspath(tmp_path)}))
    with pytest.raises(ValueError, match=f"^the file {tmp_path / 'a'} does not exist$"):
        read_context([tmp_path / "a"])
    with pytest.raises(ValueError, match=f"^none of the files {tmp_path / 'a'}, {tmp_path / 'b'} exists$"):
        read_context([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ValueError, match=f"^{tmp_path} is not a file$"):
        read_context([tmp_path])
    there = write(tmp_path / "one", "one", current="one")
    with pytest.raises(ValueError, match=rf"contexts are: one; not read, .*: {tmp_path / 'a'}$"):
        read_context([tmp_path / "a", there], "two")
