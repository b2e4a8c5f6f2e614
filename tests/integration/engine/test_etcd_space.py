"""Defragmentation of a real etcd of three members, and what is said of its size."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platformctl.engine.checking.proofs import on_host
from tests.integration.control_plane import free_port
from tests.programs import program
from tests.unit.roles.kubernetes.plugins import load

helper = load("roles/kubernetes_control_plane/files/etcd_defragment.py")
_NAMES = ("a", "b", "c")
_QUOTA = 64 * 2**20


@contextlib.contextmanager
def members(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of three members by name; the first one's metrics are there too."""
    clients = {name: f"http://127.0.0.1:{free_port()}" for name in _NAMES}
    peers = {name: f"http://127.0.0.1:{free_port()}" for name in _NAMES}
    cluster = ",".join(f"{name}={url}" for name, url in peers.items())
    processes = []
    try:
        for name in _NAMES:
            command = [
                program("etcd"), f"--name={name}", f"--data-dir={folder}/{name}", "--log-level=error",
                f"--listen-client-urls={clients[name]}", f"--advertise-client-urls={clients[name]}",
                f"--listen-peer-urls={peers[name]}", f"--initial-advertise-peer-urls={peers[name]}",
                f"--initial-cluster={cluster}", "--unsafe-no-fsync", f"--quota-backend-bytes={_QUOTA}",
            ]  # fmt: skip
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield clients
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_full_database_is_defragmented_and_takes_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "WORTH_BYTES", 2**20)
    with members(tmp_path) as urls:

        def etcdctl(*words: str, text: str = "") -> str:
            named = any(word.startswith("--endpoints") for word in words)
            where = [] if named else [f"--endpoints={urls['a']}"]
            command = [program("etcdctl"), *where, *words]
            done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
            if done.returncode:
                raise helper.NotWellError(done.stderr)
            return done.stdout

        helper.await_well(etcdctl, list(urls.values()))
        port = urls["a"].rpartition(":")[2]
        with pytest.raises(helper.NotWellError, match="exceeded"):
            fill(etcdctl)
        code, words = on_host.etcd_space("127.0.0.1", port)
        assert code == 1, words
        revision = helper.statuses(etcdctl, [urls["a"]])[0]["header"]["revision"]
        etcdctl("compact", "--physical", str(revision))
        said = helper.defragment(etcdctl, "a")
        assert len(said) == 4, said
        assert said[-1] == "the alarm of a full database is cleared"
        etcdctl("put", "key", text="small")
        code, words = on_host.etcd_space("127.0.0.1", port)
        assert code == 0
        assert words.endswith("of 64 MiB")
        leader = next(
            url for url in urls.values()
            if (state := helper.statuses(etcdctl, [url])[0])["leader"] == state["header"]["member_id"]
        )  # fmt: skip
        assert leader in said[2]


def fill(etcdctl: Callable[..., str]) -> None:
    """Write the same key again and again, so that all but the last version can be compacted."""
    for _ in range(200):
        etcdctl("put", "key", text="x" * 2**20)
