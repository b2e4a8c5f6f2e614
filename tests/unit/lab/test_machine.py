"""What `lab up` says on a machine that cannot have a lab."""

import os

import pytest

from platformctl import lab as labs
from platformctl.errors import ExitCode, PlatformError


def test_another_user_than_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PlatformError, match="a lab needs root") as refused:
        labs.up("demo")
    assert refused.value.code == ExitCode.REFUSED


def test_missing_programs_are_named_as_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        "shutil.which", lambda program, path: None if program in {"nft", "podman"} else program
    )
    with pytest.raises(PlatformError) as refused:
        labs.up("demo")
    assert "apt-get install" in refused.value.next
    assert {"nftables", "podman"} <= set(refused.value.next.split())


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a/b", "a b", "-x", "a" * 40])
def test_a_name_that_would_not_do_as_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(PlatformError) as refused:
        labs.up(name)
    assert refused.value.code == ExitCode.INVALID
