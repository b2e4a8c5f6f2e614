"""What is opened, and what is not: only regular files below the root, through no link."""

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from platformctl.logs.config import Person
from platformctl.logs.opener import open_beneath, serve

ALICE = Person(name="alice", uid=10001, gid=10001, groups=[20001], home="/home/alice")


def read(root: Path, path: Path | str) -> str:
    with os.fdopen(open_beneath(str(root), str(path))) as file:
        return file.read()


def test_a_file_below_the_root_is_read(tmp_path: Path) -> None:
    file = tmp_path / "alice" / "deep" / "out.txt"
    file.parent.mkdir(parents=True)
    file.write_text("hello")
    assert read(tmp_path, file) == "hello"
    assert read(Path(f"{tmp_path}/"), file) == "hello"


def _link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "file")
    return folder / "link"


def _linked_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    (folder / "folder" / "file").write_text("SECRET")
    (folder / "link").symlink_to(folder / "folder")
    return folder / "link" / "file"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_link, errno.ELOOP),
        (_linked_folder, errno.ENOTDIR),
        (_pipe, errno.EINVAL),
        (lambda folder: folder, errno.EXDEV),
        (lambda folder: f"{folder}/../{folder.name}/file", errno.EXDEV),
        (lambda folder: f"{folder}//file", errno.EXDEV),
        (lambda folder: f"{folder}/file\0", errno.EXDEV),
        (lambda folder: f"{folder}-beside/file", errno.EXDEV),
        (lambda _: "/etc/hostname", errno.EXDEV),
        (lambda _: "file", errno.EXDEV),
        (lambda folder: folder / "missing", errno.ENOENT),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, make: Callable[[Path], object], code: int) -> None:
    (tmp_path / "file").write_text("SECRET")
    with pytest.raises(OSError, match="Errno") as caught:
        open_beneath(str(tmp_path), str(make(tmp_path)))
    assert caught.value.errno == code


def test_the_opener_answers_for_known_users_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    became: list[str] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            serve(theirs, str(tmp_path), [ALICE], lambda person: became.append(person.name))
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        ours.settimeout(10)
        path = str(tmp_path / "file")
        ours.send(f'{{"id": 1, "user": "alice", "path": "{path}"}}'.encode())
        message, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        assert message == b'{"id": 1, "error": 0}'
        with os.fdopen(descriptors[0]) as file:
            assert file.read() == "hello"
        ours.send(f'{{"id": 2, "user": "root", "path": "{path}"}}'.encode())
        message, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        assert (message, descriptors) == (f'{{"id": 2, "error": {errno.EPERM}}}'.encode(), [])
    # It ends with the connection.
    ended = threading.Thread(target=os.waitpid, args=(pid, 0))
    ended.start()
    ended.join(10)
    assert not ended.is_alive()


@pytest.mark.parametrize("ids", [{"uid": 0}, {"gid": 0}, {"groups": [0]}, {"uid": -1}])
def test_root_is_no_person(ids: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Person.model_validate({"name": "x", "uid": 1, "gid": 1, "home": "/x", **ids})
