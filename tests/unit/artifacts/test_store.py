import json
import os
from pathlib import Path
from typing import Any

import pytest

from platformctl.artifacts.hashing import hash_value
from platformctl.artifacts.store import Store, of_site
from platformctl.errors import PlatformError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    put(made, "tool", b"tool")
    put(made, "other", b"other")
    made.publish({"binaries:tool", "binaries:other"})
    return made


def put(store: Store, name: str, content: bytes) -> None:
    path = store.folder / "bin" / name
    path.write_bytes(content)
    digest = store.stamp(f"bin/{name}")
    store.put(f"binaries:{name}", f"key of {name}", {"version": "1", "path": f"bin/{name}", "sha256": digest})


def damage(path: Path, keep_time: bool) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_an_artefact_is_current_while_its_inputs_are(store: Store) -> None:
    again = Store(store.folder)
    assert again.current("binaries:tool", "key of tool")
    assert not again.current("binaries:tool", "another key")
    assert not again.current("binaries:unknown", "key of tool")


def test_an_artefact_whose_file_is_gone_is_made_again(store: Store) -> None:
    (store.folder / "bin" / "tool").unlink()
    assert not Store(store.folder).current("binaries:tool", "key of tool")


def test_the_lock_says_whether_anything_differs(store: Store) -> None:
    before = store.index()["lock"]
    assert store.publish({"binaries:tool", "binaries:other"})["lock"] == before
    put(store, "tool", b"new")
    assert store.publish({"binaries:tool", "binaries:other"})["lock"] != before


def test_what_is_no_longer_wanted_goes(store: Store) -> None:
    index = store.publish({"binaries:tool"})
    assert list(index["binaries"]) == ["tool"]
    assert [path.name for path in (store.folder / "bin").iterdir()] == ["tool"]


def test_a_wrong_byte_is_noticed_at_the_next_use(store: Store) -> None:
    damage(store.folder / "bin" / "tool", keep_time=False)
    with pytest.raises(PlatformError, match="nothing was installed") as refused:
        Store(store.folder).check_touched()
    assert refused.value.details[0].startswith("bin/tool: sha256 is")
    assert "platformctl artifacts fetch" in refused.value.next


def test_a_touched_file_with_the_same_bytes_is_fine(store: Store) -> None:
    (store.folder / "bin" / "tool").touch()
    Store(store.folder).check_touched()


def test_verify_finds_a_wrong_byte_that_kept_its_time(store: Store) -> None:
    damage(store.folder / "bin" / "tool", keep_time=True)
    Store(store.folder).check_touched()
    with pytest.raises(PlatformError, match="bin/tool"):
        Store(store.folder).check_all()


def test_verify_counts_what_it_checked(store: Store) -> None:
    assert store.check_all() == 2


def test_an_index_changed_by_hand_is_refused(store: Store) -> None:
    index = json.loads(store.index_path.read_text())
    index["binaries"]["tool"]["sha256"] = "0" * 64
    store.index_path.write_text(json.dumps(index))
    with pytest.raises(PlatformError, match="changed by hand"):
        store.check_all()


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(PlatformError) as empty:
        Store(tmp_path).index()
    assert empty.value.next == "platformctl artifacts fetch"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.json", ""),
        ("index.json", "{"),
        ("index.json", "\xff"),
        ("state.json", "{"),
        ("state.json", "[]"),
    ],
)
def test_a_damaged_file_of_the_store_is_named_with_the_remedy(store: Store, name: str, text: str) -> None:
    (store.folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(PlatformError) as error:
        Store(store.folder).index()
    assert error.value.next == f"rm {store.folder / name}, then: platformctl artifacts fetch"


def test_what_only_other_sites_have_chosen_changes_nothing_for_a_site() -> None:
    plain: dict[str, Any] = {"images": {"a": {"tag": "1"}}, "binaries": {}}
    index = plain | {"lock": hash_value(plain)}
    chosen = {"tag": "2", "only_for": "nvidia-device-plugin"}
    other = {"images": {"a": {"tag": "1"}, "b": chosen}, "binaries": {}}
    shared = other | {"lock": hash_value(other)}
    assert of_site(index, ()) == index
    assert of_site(shared, ()) == index
    assert of_site(shared, ["nvidia-device-plugin"]) == shared
