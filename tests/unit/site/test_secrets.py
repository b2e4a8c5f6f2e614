"""Secrets: made once, readable by their owner alone, seen by plays and by nobody else."""

import base64
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from platformctl import paths
from platformctl.errors import ExitCode, PlatformError
from platformctl.site import authority, secrets
from platformctl.site.refinements import LONGEST_SITE_NAME, is_site_name
from tests.unit.site.conftest import Sandbox


@pytest.fixture
def inventory(sandbox: Sandbox) -> Path:
    return sandbox.write()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_ensure_twice_changes_nothing(inventory: Path) -> None:
    assert secrets.load(inventory) == {}
    assert secrets.ensure(inventory)
    before = secrets.vault_path(inventory).read_bytes()
    assert not secrets.ensure(inventory)
    assert secrets.vault_path(inventory).read_bytes() == before


def test_the_secrets_are_as_roles_expect_them(inventory: Path) -> None:
    secrets.ensure(inventory)
    held = secrets.load(inventory)
    assert set(held) == set(secrets.NAMES)
    sizes = {"secret_munge_key": 1024, "secret_slurm_jwt_key": 32, "secret_kubernetes_encryption_key": 32}
    assert {name: len(base64.b64decode(held[name], validate=True)) for name in sizes} == sizes
    assert len(held["secret_slurm_accounting_password"]) >= 32


def test_the_authority_can_sign_for_ten_years(inventory: Path) -> None:
    secrets.ensure(inventory)
    held = secrets.load(inventory)
    certificate = x509.load_pem_x509_certificate(held["secret_site_ca_certificate"].encode())
    key = serialization.load_pem_private_key(held["secret_site_ca_key"].encode(), None)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=tiny site CA"
    assert certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3649)
    assert timedelta(minutes=59) < datetime.now(UTC) - certificate.not_valid_before_utc < timedelta(hours=2)
    certificate.verify_directly_issued_by(certificate)


def test_the_longest_name_of_a_site_fits_into_its_authoritys() -> None:
    name = "a" * LONGEST_SITE_NAME
    assert is_site_name(name)
    assert not is_site_name(f"{name}a")
    _, certificate = authority.create(name)
    assert (
        x509.load_pem_x509_certificate(certificate.encode()).subject.rfc4514_string() == f"CN={name} site CA"
    )


def test_the_authority_signs_certificates_and_nothing_else(inventory: Path) -> None:
    secrets.ensure(inventory)
    held = secrets.load(inventory)
    certificate = x509.load_pem_x509_certificate(held["secret_site_ca_certificate"].encode())
    found = {extension.value: extension.critical for extension in certificate.extensions}
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = x509.KeyUsage(
        **dict.fromkeys(("key_cert_sign", "crl_sign", "digital_signature"), True),
        **dict.fromkeys((*names, "encipher_only", "decipher_only"), False),
    )
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert found == {
        x509.BasicConstraints(ca=True, path_length=0): True,
        usage: True,
        x509.SubjectKeyIdentifier.from_public_key(public): False,
    }


def test_modes_and_places(inventory: Path, own_keys: Path) -> None:
    secrets.ensure(inventory)
    (key,) = own_keys.iterdir()
    assert key.name.startswith("tiny-")
    assert (_mode(own_keys), _mode(key), _mode(secrets.vault_path(inventory))) == (0o700, 0o600, 0o600)


def test_a_missing_secret_is_added_and_the_others_stay(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {name: make for name, make in secrets.GENERATORS.items() if name != "secret_munge_key"}
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "GENERATORS", fewer)
        secrets.ensure(inventory)
    before = secrets.load(inventory)
    assert "secret_munge_key" not in before
    assert secrets.ensure(inventory)
    after = secrets.load(inventory)
    assert {name: after[name] for name in before} == before
    assert "secret_munge_key" in after


def _rewrite(inventory: Path, keys: Path, values: dict[str, str], label: str = "") -> None:
    """Make the vault anew with its own key, under this label if given."""
    (key,) = keys.iterdir()
    secret = VaultSecret(key.read_bytes().strip())
    sealed = VaultLib().encrypt(yaml.safe_dump(values), secret=secret, vault_id=label or key.name)
    secrets.vault_path(inventory).write_bytes(sealed)


@pytest.mark.parametrize("lost", [secrets.CA_KEY, secrets.CA_CERTIFICATE])
def test_an_authority_that_lacks_a_part_is_made_again_whole(
    inventory: Path, own_keys: Path, lost: str
) -> None:
    secrets.ensure(inventory)
    before = secrets.load(inventory)
    _rewrite(inventory, own_keys, {name: value for name, value in before.items() if name != lost})
    assert secrets.ensure(inventory)
    after = secrets.load(inventory)
    key = serialization.load_pem_private_key(after[secrets.CA_KEY].encode(), None)
    certificate = x509.load_pem_x509_certificate(after[secrets.CA_CERTIFICATE].encode())
    assert certificate.public_key() == key.public_key()
    assert after == before | {name: after[name] for name in (secrets.CA_KEY, secrets.CA_CERTIFICATE)}


def test_sites_of_one_name_have_keys_of_their_own(sandbox: Sandbox, tmp_path: Path, own_keys: Path) -> None:
    for folder in ("one", "two"):
        sandbox.folder = tmp_path / folder / "inventory"
        secrets.ensure(sandbox.write())
    names = sorted(path.name for path in own_keys.iterdir())
    assert len(names) == 2
    assert all(re.fullmatch("tiny-[0-9a-f]{8}", name) for name in names)
    assert len({path.read_bytes() for path in own_keys.iterdir()}) == 2
    secrets.discard(tmp_path / "one" / "inventory")
    assert set(secrets.load(tmp_path / "two" / "inventory")) == set(secrets.NAMES)


def test_a_label_names_a_file_among_the_keys_and_nowhere_else(
    inventory: Path, own_keys: Path, tmp_path: Path
) -> None:
    secrets.ensure(inventory)
    held = secrets.load(inventory)
    (key,) = own_keys.iterdir()
    precious = own_keys.parent / key.name
    precious.write_bytes(key.read_bytes())
    _rewrite(inventory, own_keys, held, f"../{key.name}")
    assert secrets.load(inventory) == held
    secrets.discard(inventory)
    assert (precious.exists(), key.exists(), secrets.vault_path(inventory).exists()) == (True, False, False)


def test_a_folder_for_keys_is_closed_to_others(inventory: Path, own_keys: Path) -> None:
    own_keys.mkdir(parents=True, mode=0o755)
    secrets.ensure(inventory)
    assert _mode(own_keys) == 0o700


@pytest.mark.parametrize(("folder", "mode"), [("shared", 0o755), ("new", 0o700)])
def test_a_key_of_ones_own_is_made_where_it_is_missing(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, mode: int
) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(secrets.KEY_VARIABLE, f"~/{folder}/key")
    secrets.ensure(inventory)
    key = tmp_path / folder / "key"
    assert (_mode(key.parent), _mode(key)) == (mode, 0o600)
    assert len(key.read_bytes().strip()) >= 64
    assert set(secrets.load(inventory)) == set(secrets.NAMES)


def test_the_inventory_may_be_given_as_its_hosts_file(inventory: Path) -> None:
    secrets.ensure(inventory / "hosts.yml")
    assert secrets.load(inventory / "hosts.yml") == secrets.load(inventory) != {}


def test_what_is_no_inventory_gets_no_secrets(tmp_path: Path, own_keys: Path) -> None:
    with pytest.raises(PlatformError, match="not an inventory") as caught:
        secrets.ensure(tmp_path)
    assert (caught.value.code, own_keys.exists()) == (ExitCode.INVALID, False)
    assert "platformctl init" in caught.value.next


@pytest.mark.parametrize("name", [None, 7])
def test_a_site_without_a_name_gets_no_secrets(sandbox: Sandbox, own_keys: Path, name: object) -> None:
    sandbox.vars["site_name"] = name
    with pytest.raises(PlatformError, match="no site_name") as caught:
        secrets.ensure(sandbox.write())
    assert (caught.value.code, own_keys.exists()) == (ExitCode.INVALID, False)
    assert caught.value.where == str(sandbox.folder / "group_vars" / "all")


def test_the_last_name_of_the_site_counts(sandbox: Sandbox, own_keys: Path) -> None:
    sandbox.text("group_vars/all/zone.yml", "site_name: later\n")
    secrets.ensure(sandbox.write())
    (key,) = own_keys.iterdir()
    assert key.name.startswith("later-")


def test_a_discarded_inventory_leaves_no_key(inventory: Path, own_keys: Path) -> None:
    secrets.ensure(inventory)
    secrets.discard(inventory)
    assert list(own_keys.iterdir()) == []
    secrets.discard(inventory)
    secrets.ensure(inventory)
    _lose(inventory, own_keys)
    secrets.discard(inventory)
    assert not secrets.vault_path(inventory).exists()


def test_runs_that_meet_agree(inventory: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: secrets.ensure(inventory), range(8)))
    assert made.count(True) == 1
    assert [path.name for path in secrets.vault_path(inventory).parent.glob(".*")] == []


def test_a_moved_inventory_still_opens(inventory: Path, tmp_path: Path) -> None:
    secrets.ensure(inventory)
    before = secrets.load(inventory)
    moved = inventory.rename(tmp_path / "elsewhere")
    assert secrets.load(moved) == before


@pytest.mark.parametrize("executable", [False, True])
def test_a_key_of_ones_own(
    inventory: Path, tmp_path: Path, own_keys: Path, monkeypatch: pytest.MonkeyPatch, executable: bool
) -> None:
    key = tmp_path / "own-key"
    key.write_text("#!/bin/sh\necho correct horse\n" if executable else "correct horse\n")
    key.chmod(0o700 if executable else 0o600)
    monkeypatch.setenv(secrets.KEY_VARIABLE, str(key))
    secrets.ensure(inventory)
    assert not own_keys.exists()
    key.write_text("correct horse\n")
    key.chmod(0o600)
    assert set(secrets.load(inventory)) == set(secrets.NAMES)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("#!/bin/sh\necho half; exit 3\n", 0o700, "exit status 3"),
        ("#!/bin/sh\necho\n", 0o700, "empty"),
        ("a key", 0o700, "Exec format"),
        (" \n", 0o600, "empty"),
    ],
)
def test_what_gives_no_key(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, mode: int, reason: str
) -> None:
    key = tmp_path / "own-key"
    key.write_text(content)
    key.chmod(mode)
    monkeypatch.setenv(secrets.KEY_VARIABLE, str(key))
    with pytest.raises(PlatformError, match=reason) as caught:
        secrets.ensure(inventory)
    assert (caught.value.where, caught.value.code) == (str(key), ExitCode.INVALID)
    assert caught.value.next
    assert not secrets.vault_path(inventory).exists()


def _lose(inventory: Path, keys: Path) -> None:
    next(keys.iterdir()).unlink()


def _exchange(inventory: Path, keys: Path) -> None:
    next(keys.iterdir()).write_text("another\n")


def _spoil(inventory: Path, keys: Path) -> None:
    secrets.vault_path(inventory).write_text("rubbish\n")


@pytest.mark.parametrize(
    ("harm", "what", "of_key", "remedy"),
    [
        (_lose, "is missing", True, secrets.KEY_VARIABLE),
        (_exchange, "cannot be decrypted", True, secrets.KEY_VARIABLE),
        (_spoil, "not an ansible-vault file", False, "restore it from a copy"),
    ],
)
def test_what_cannot_be_opened_is_said_and_kept(
    inventory: Path, own_keys: Path, harm: object, what: str, of_key: bool, remedy: str
) -> None:
    secrets.ensure(inventory)
    (key,) = own_keys.iterdir()
    assert callable(harm)
    harm(inventory, own_keys)
    before = secrets.vault_path(inventory).read_bytes()
    with pytest.raises(PlatformError, match=what) as caught:
        secrets.ensure(inventory)
    assert caught.value.code is ExitCode.INVALID
    assert caught.value.where == str(key if of_key else secrets.vault_path(inventory))
    assert remedy in caught.value.next
    assert secrets.vault_path(inventory).read_bytes() == before


def test_an_interrupted_write_leaves_the_old_file(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.ensure(inventory)
    before = secrets.load(inventory)
    beside = secrets.vault_path(inventory).parent
    modes = []

    def full(descriptor: int) -> None:
        modes.extend(_mode(path) for path in beside.glob(".secrets.vault.*"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(secrets, "GENERATORS", {**secrets.GENERATORS, "secret_more": lambda: "x"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        secrets.ensure(inventory)
    assert secrets.load(inventory) == before
    assert modes == [0o600], "a file elsewhere may be on another file system, and is not replaced at once"
    assert [path.name for path in beside.glob(".*")] == []


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that:
          - secret_munge_key | b64decode(encoding='latin-1') | length == 1024
          - "'BEGIN CERTIFICATE' in secret_site_ca_certificate"
        quiet: true
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    """A playbook beside which the plugin lies, as beside the product's own."""
    folder = tmp_path / "playbooks"
    folder.mkdir()
    (folder / "vars_plugins").symlink_to(paths.data_dir() / "playbooks" / "vars_plugins")
    (folder / "play.yml").write_text(PLAY)
    return folder / "play.yml"


def _ansible(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONNECTION": "local", "ANSIBLE_STRATEGY": "linear"}
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("named", ["", "hosts.yml"])
def test_plain_ansible_sees_the_secrets(inventory: Path, playbook: Path, named: str) -> None:
    secrets.ensure(inventory)
    done = _ansible("-c", "local", "-vvvvv", "-i", str(inventory / named), str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed=0" in done.stdout
    for value in secrets.load(inventory).values():
        assert value not in done.stdout + done.stderr


def test_plain_ansible_says_that_the_key_is_missing(inventory: Path, own_keys: Path, playbook: Path) -> None:
    secrets.ensure(inventory)
    _lose(inventory, own_keys)
    done = _ansible("-c", "local", "-i", str(inventory), str(playbook))
    assert done.returncode != 0
    assert "is missing" in done.stderr
    assert secrets.KEY_VARIABLE in done.stderr
