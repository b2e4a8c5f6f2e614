"""A new site: made from the example, valid at once, with secrets that never show."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platformctl import site
from platformctl.cli.main import app
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import scaffold, secrets


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _refusal(result: Result) -> PlatformError:
    assert isinstance(result.exception, PlatformError)
    return result.exception


def test_a_new_site_is_valid_and_named(tmp_path: Path) -> None:
    done = _run("init", str(tmp_path / "north"))
    assert done.exit_code == 0
    found = site.load(tmp_path / "north")
    assert (found.name, found.shared["site_domain"]) == ("north", "north.example")
    assert f"platformctl install -i {tmp_path / 'north'}" in done.stdout
    assert set(secrets.load(tmp_path / "north")) == set(secrets.NAMES)


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "hosts.yml").write_text("mine")
    assert _refusal(_run("init", str(tmp_path / "north"))).code is ExitCode.REFUSED
    assert (tmp_path / "north" / "hosts.yml").read_text() == "mine"


def test_an_empty_folder_becomes_the_site(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    assert _run("init", str(tmp_path / "north")).exit_code == 0
    assert site.load(tmp_path / "north").name == "north"


def test_a_file_in_place_of_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "north").write_text("mine")
    refusal = _refusal(_run("init", str(tmp_path / "north")))
    assert refusal.code is ExitCode.REFUSED
    assert f"platformctl init {tmp_path / 'north'} --force" in refusal.next
    assert (tmp_path / "north").read_text() == "mine"


def test_the_files_of_a_new_site_are_named(tmp_path: Path) -> None:
    written = scaffold.create(tmp_path / "far" / "north")
    made = {path for path in (tmp_path / "far" / "north").rglob("*.yml") if path.is_file()}
    assert (set(written), len(written)) == (made, len(made))
    assert not [path for path in made if scaffold.EXAMPLE in path.read_text()]


def test_force_writes_over_files_and_keeps_secrets(tmp_path: Path) -> None:
    _run("init", str(tmp_path / "north"))
    before = secrets.load(tmp_path / "north")
    (tmp_path / "north" / "hosts.yml").write_text("mine")
    assert _run("init", str(tmp_path / "north"), "--force").exit_code == 0
    assert site.check(tmp_path / "north") == []
    assert secrets.load(tmp_path / "north") == before


@pytest.mark.parametrize("name", ["North", "north_1", "-north", "n" * 57])
def test_a_name_that_cannot_be(tmp_path: Path, name: str) -> None:
    refusal = _refusal(_run("init", str(tmp_path / name)))
    assert (refusal.code, refusal.what) == (ExitCode.INVALID, f"{name} cannot be the name of a site")
    assert refusal.next == "use 1 to 56 of a-z, 0-9 and -, with a letter or digit at both ends"
    assert not (tmp_path / name).exists()


def test_what_is_there_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("mine")
    target = tmp_path.rename(tmp_path.with_name("north"))
    with pytest.raises(PlatformError, match=f"{target} exists already; nothing was written"):
        scaffold.create(target)
    assert [path.name for path in target.iterdir()] == ["hosts.yml"]


def test_secrets_are_named_and_never_shown(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    made = _run("init", str(folder))
    texts = made.output
    for arguments in (("secrets", "-i"), ("-v", "validate", "-i"), ("--output", "json", "secrets", "-i")):
        texts += _run(*arguments, str(folder)).output
    assert all(name in texts for name in secrets.NAMES)
    values = secrets.load(folder).values()
    assert not [value for value in values if value in texts or value.splitlines()[-1] in texts]
    plain = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "keys"]
    assert len(plain) > 8
    content = b"".join(path.read_bytes() for path in plain).decode()
    assert not [value for value in values if value in content]
    assert stat.S_IMODE(secrets.vault_path(folder).stat().st_mode) == 0o600
