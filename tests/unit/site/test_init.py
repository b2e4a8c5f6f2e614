"""A new site: made from the example, valid at once, with secrets that never show."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platformctl import paths, site
from platformctl.cli.main import app
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import scaffold, secrets


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _refusal(result: Result) -> PlatformError:
    assert isinstance(result.exception, PlatformError)
    return result.exception


def edit(folder: Path) -> None:
    """Write a site's own values in place of the example's, as a person would."""
    for path, old, new in (
        ("hosts.yml", "192.0.2.", "10.20.0."),
        ("group_vars/all/site.yml", "north.example", "north.site.org"),
        ("group_vars/all/users.yml", "alice, uid: 10001, full_name: Alice Example", "ada, uid: 10001"),
        ("group_vars/all/users.yml", "bob, uid: 10002, full_name: Bob Example", "ben, uid: 10002"),
    ):
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new))


def test_a_new_site_is_valid_once_it_is_edited_and_named(tmp_path: Path) -> None:
    done = _run("init", str(tmp_path / "north"))
    assert done.exit_code == 0
    edit(tmp_path / "north")
    found = site.load(tmp_path / "north")
    assert (found.name, found.shared["site_domain"]) == ("north", "north.site.org")
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
    edit(tmp_path / "north")
    assert site.load(tmp_path / "north").name == "north"


def test_a_file_in_place_of_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "north").write_text("mine")
    refusal = _refusal(_run("init", str(tmp_path / "north")))
    assert refusal.code is ExitCode.REFUSED
    assert "--force" not in refusal.next, "it cannot help here"
    assert _refusal(_run("init", str(tmp_path / "north"), "--force")).next == refusal.next
    assert (tmp_path / "north").read_text() == "mine"


def test_the_remedy_for_a_folder_in_use_helps(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "notes.txt").write_text("mine")
    refusal = _refusal(_run("init", str(tmp_path / "north")))
    command = refusal.next.partition("files: platformctl ")[2].split()
    assert _run(*command).exit_code == 0


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
    edit(tmp_path / "north")
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


def test_all_that_is_still_the_examples_is_named_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    _run("init", str(folder))
    done = _run("--output", "json", "validate", "-i", str(folder))
    assert done.exit_code == 2
    found = {(mistake["key"], mistake["value"]) for mistake in json.loads(done.stdout)}
    hosts = {"ctl1": 11, "cpu1": 21, "cpu2": 22, "gpu1": 31, "web1": 41, "web2": 42}
    assert found == {
        *((f"all.hosts.{name}.ansible_host", f"192.0.2.{number}") for name, number in hosts.items()),
        ("site_domain", "north.example"),
        ("users_accounts[0].name", "alice"),
        ("users_accounts[1].name", "bob"),
    }
    assert all(
        mistake["remedy"] and Path(mistake["place"].rpartition(":")[0]).is_file()
        for mistake in json.loads(done.stdout)
    )
    edit(folder)
    assert _run("validate", "-i", str(folder)).exit_code == 0


def test_a_site_without_its_secrets_is_named_and_gets_them(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    _run("init", str(folder))
    edit(folder)
    secrets.vault_path(folder).unlink()
    done = _run("--output", "json", "validate", "-i", str(folder))
    assert done.exit_code == 2
    (mistake,) = json.loads(done.stdout)
    assert (mistake["place"], mistake["problem"]) == (str(secrets.vault_path(folder)), "does not exist")
    command = mistake["remedy"].partition("installed: platformctl ")[2].split()
    assert _run(*command).exit_code == 0
    assert _run("validate", "-i", str(folder)).exit_code == 0
    assert set(secrets.load(folder)) == set(secrets.NAMES)


def test_a_vault_whose_key_is_missing_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    _run("init", str(folder))
    edit(folder)
    key = secrets.key_file(folder)
    assert key
    key.unlink()
    done = _run("--output", "json", "validate", "-i", str(folder))
    (mistake,) = json.loads(done.stdout)
    assert "is missing" in mistake["problem"]
    assert secrets.KEY_VARIABLE in mistake["remedy"]


@pytest.mark.parametrize("name", ["lab", "kind", "example-site"])
def test_the_inventories_that_are_examples_stay_as_they_are(name: str) -> None:
    folder = paths.data_dir() / "inventories" / name
    assert site.check(folder) == []
    assert _run("validate", "-i", str(folder)).exit_code == 0
