"""The program that writes Secrets again, with a stand-in for kubectl and etcd."""

import base64
import json
import subprocess
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from platformctl.engine.rotation import rewrite_secrets

NEW, OLD = b"k8s:enc:secretbox:v1:new:", b"k8s:enc:secretbox:v1:site:"


class Cluster:
    """etcd by path, and what the API server does with a Secret that is replaced."""

    def __init__(self) -> None:
        self.etcd: dict[str, bytes] = {}
        self.conflicts: list[str] = []
        self.unreadable: set[str] = set()
        self.reads = 0

    def run(self, words: Sequence[str], **options: object) -> SimpleNamespace:
        if "exec" in words:
            return self.ranged(words[words.index("get") + 1], int(words[-2].partition("=")[2]))
        if "replace" in words:
            return self.replace(json.loads(str(options["input"], "utf-8")))  # type: ignore[arg-type]
        namespace = next(word.partition("=")[2] for word in words if word.startswith("--namespace="))
        return self.get(namespace, words[words.index("--output=json") + 1 :])

    def ranged(self, start: str, limit: int) -> SimpleNamespace:
        keys = sorted(key for key in self.etcd if key >= start)
        found = [
            {
                "key": base64.b64encode(key.encode()).decode(),
                "value": base64.b64encode(self.etcd[key]).decode(),
            }
            for key in keys[:limit]
        ]
        page = {"kvs": found, "more": True} if len(keys) > limit else {"kvs": found}
        return answer(json.dumps(page))

    def get(self, namespace: str, names: Sequence[str]) -> SimpleNamespace:
        there = [name for name in names if f"/registry/secrets/{namespace}/{name}" in self.etcd]
        self.reads += len(there)
        if self.unreadable & set(there):
            return answer("", 1, "unable to transform key")
        items = [{"metadata": {"namespace": namespace, "name": name}} for name in there]
        return answer(json.dumps({"items": items} if len(items) > 1 else items[0]) if items else "")

    def replace(self, document: dict) -> SimpleNamespace:  # type: ignore[type-arg]
        done = []
        for item in document.get("items", [document]):
            name = item["metadata"]["name"]
            if name in self.conflicts:
                self.conflicts.remove(name)
                continue
            path = f"/registry/secrets/{item['metadata']['namespace']}/{name}"
            self.etcd[path] = NEW + self.etcd[path].rpartition(b":")[2]
            done.append(f"secret/{name}\n")
        return answer("".join(done), 0 if done else 1, "conflict")


def answer(out: str, code: int = 0, err: str = "") -> SimpleNamespace:
    return SimpleNamespace(returncode=code, stdout=out.encode(), stderr=err.encode())


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    stand_in = Cluster()
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    monkeypatch.setattr(rewrite_secrets.time, "sleep", lambda _: None)
    return stand_in


def call(capsys: pytest.CaptureFixture[str], read: bool = False) -> tuple[int, dict[str, object]]:
    code = rewrite_secrets.main("ctl1", "new", read)
    return code, json.loads(capsys.readouterr().out)


def test_all_are_written_again_over_all_pages(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1203):
        namespace = f"ns{number % 7}"
        cluster.etcd[f"/registry/secrets/{namespace}/s{number}"] = (OLD if number % 3 else b"k8s\0") + b"x"
    assert call(capsys) == (0, {"done": 1203, "left": []})
    assert all(value.startswith(NEW) for value in cluster.etcd.values())
    assert call(capsys) == (0, {"done": 0, "left": []})


def test_a_conflict_is_tried_again(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.etcd = {f"/registry/secrets/a/s{number}": OLD + b"x" for number in range(5)}
    cluster.conflicts = ["s1", "s1", "s3"]
    assert call(capsys) == (0, {"done": 5, "left": []})


def test_what_stays_is_named(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.etcd = {"/registry/secrets/a/s1": OLD + b"x", "/registry/secrets/a/s2": OLD + b"x"}
    cluster.conflicts = ["s2"] * 100
    assert call(capsys) == (1, {"done": 1, "left": ["a/s2"]})


def test_reading_changes_nothing_and_reads_one_by_one(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.etcd = {f"/registry/secrets/a/s{number}": NEW + b"x" for number in range(60)}
    before = dict(cluster.etcd)
    assert call(capsys, read=True) == (0, {"done": 60, "left": []})
    assert (cluster.etcd, cluster.reads) == (before, 60)
    cluster.etcd["/registry/secrets/b/one"] = NEW + b"x"
    assert call(capsys, read=True)[1]["done"] == 61
    cluster.etcd["/registry/secrets/b/old"] = OLD + b"x"
    assert call(capsys, read=True) == (1, {"done": 0, "left": ["b/old"]})


def test_a_secret_that_cannot_be_read_is_said(cluster: Cluster) -> None:
    cluster.etcd = {"/registry/secrets/a/s": NEW + b"x"}
    cluster.unreadable = {"s"}
    with pytest.raises(SystemExit, match="Secrets of a cannot be read: unable to transform key"):
        rewrite_secrets.main("ctl1", "new", True)
