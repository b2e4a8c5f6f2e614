"""The file of the inventory that names users without access."""

from pathlib import Path

import pytest

from platformctl.errors import ExitCode, PlatformError
from platformctl.site import disabled


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {n1: {ansible_host: 192.0.2.11}}}\n")
    return tmp_path


def test_the_names_are_written_sorted_and_the_file_goes_with_the_last(inventory: Path) -> None:
    disabled.write(inventory, ["bob", "alice", "bob"])
    file = inventory / "group_vars/all/users_disabled.yml"
    assert file.read_text().splitlines()[1:] == ["users_disabled:", "- alice", "- bob"]
    assert disabled.path(inventory / "hosts.yml") == file
    disabled.write(inventory, [])
    assert not file.exists()
    assert list(file.parent.iterdir()) == []


def test_a_list_by_hand_is_not_overruled(inventory: Path) -> None:
    by_hand = inventory / "group_vars/all.yml"
    by_hand.parent.mkdir()
    by_hand.write_text("users_disabled: [carol]\n")
    with pytest.raises(PlatformError) as refused:
        disabled.write(inventory, ["bob"])
    assert refused.value.code is ExitCode.INVALID
    assert str(by_hand) in str(refused.value)
    assert not disabled.path(inventory).exists()
