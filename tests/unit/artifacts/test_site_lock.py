from pathlib import Path

import pytest

from platformctl.artifacts.lock import Lock, check_pins, lock_path, read_lock, write_lock
from platformctl.errors import ExitCode, PlatformError

PINS = {"gomodules/tools": "a" * 64, "images/registry.example/tool:1.0": "b" * 64}


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = lock_path(tmp_path)
    write_lock(path, Lock("modules", PINS))
    assert read_lock(path) == Lock("modules", PINS)


def test_the_lock_lies_beside_the_hosts_and_ansible_ignores_it(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch()
    assert lock_path(tmp_path / "hosts.yml") == lock_path(tmp_path)
    assert lock_path(tmp_path).suffix == ".txt"


def test_a_site_without_a_lock_has_none(tmp_path: Path) -> None:
    assert read_lock(lock_path(tmp_path)) is None


def test_the_same_pins_pass(tmp_path: Path) -> None:
    check_pins(lock_path(tmp_path), Lock("modules", PINS), "modules", PINS)


@pytest.mark.parametrize("changed", [{"gomodules/tools": "c" * 64}, {**PINS, "wheels/dask": "d" * 64}])
def test_what_the_lock_does_not_pin_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    with pytest.raises(PlatformError) as refused:
        check_pins(lock_path(tmp_path), Lock("modules", PINS), "modules", changed)
    assert refused.value.code is ExitCode.REFUSED
    assert refused.value.where == str(lock_path(tmp_path))
    assert len(refused.value.details) == 1


def test_a_lock_of_another_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="for the source modules, the site asks for upstream"):
        check_pins(lock_path(tmp_path), Lock("modules", PINS), "upstream", PINS)


def test_a_line_that_is_no_pin_is_named(tmp_path: Path) -> None:
    lock_path(tmp_path).write_text("source modules\nabc  tool\n")
    with pytest.raises(PlatformError, match="line 2"):
        read_lock(lock_path(tmp_path))
