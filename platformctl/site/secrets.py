"""The secrets of a site: generated once into an ansible-vault file inside its inventory.

The vault is `<inventory>/group_vars/all/secrets.vault`. Its key is a separate file outside the inventory. The
vault's label is the name of that file, so that a copied or moved inventory still finds it. `ensure` never
changes a secret: `site.rotations` says how one is replaced, since running services depend on it.
"""

import base64
import fcntl
import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret, parse_vaulttext_envelope

from platformctl import paths, private_files
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.inventory import ALL, read_inventory

VAULT_NAME = "secrets.vault"
KEY_VARIABLE = "ANSIBLE_VAULT_PASSWORD_FILE"


def _random(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()


def _password() -> str:
    return secrets.token_urlsafe(24)


GENERATORS: Mapping[str, Callable[[], str]] = {
    "secret_munge_key": lambda: _random(1024),
    "secret_slurm_jwt_key": lambda: _random(32),
    "secret_slurm_accounting_password": _password,
    "secret_kubernetes_encryption_key": lambda: _random(32),
}
"""Every secret that is a random text, and how it is made."""

CA_KEY = "secret_site_ca_key"
CA_CERTIFICATE = "secret_site_ca_certificate"
NAMES = (*GENERATORS, CA_KEY, CA_CERTIFICATE)
"""All secrets of a site."""


def vault_path(inventory: Path) -> Path:
    """The vault file of an inventory, given as its folder or its hosts file."""
    folder = inventory if inventory.is_dir() else inventory.parent
    return folder / "group_vars" / "all" / VAULT_NAME


def ensure(inventory: Path) -> bool:
    """Generate the secrets that the inventory lacks; True if any was generated.

    Concurrent runs wait for each other. A kill leaves either the old or the new file.
    """
    vault = vault_path(inventory)
    with _locked(vault.parent):
        held = load(inventory) if vault.exists() else {}
        made = {name: generate() for name, generate in GENERATORS.items() if name not in held}
        site_name = _site_name(vault.parent)
        if CA_KEY not in held or CA_CERTIFICATE not in held:
            from platformctl.site import authority  # late: loads X.509, which every ansible-playbook would

            made[CA_KEY], made[CA_CERTIFICATE] = authority.create(site_name)
        if not made:
            return False
        label = _label(vault) if vault.exists() else _key_name(site_name, vault)
        key = _key_path(label)
        if not key.exists():
            _make_key(key)
        private_files.replace(vault, _encrypt({**held, **made}, label, key))
        return True


def load(inventory: Path) -> dict[str, str]:
    """All secrets of an inventory by variable name; empty when it has no vault yet."""
    vault = vault_path(inventory)
    if not vault.exists():
        return {}
    key = _existing_key(vault)
    try:
        text = VaultLib([(key.name, _secret(key))]).decrypt(vault.read_bytes())
    except AnsibleError as error:
        raise PlatformError(
            f"{vault} cannot be decrypted with its key",
            where=str(key),
            next=f"find the key it was made with and name it with {KEY_VARIABLE}",
            code=ExitCode.INVALID,
        ) from error
    return {str(name): str(value) for name, value in yaml.safe_load(text).items()}


def change(inventory: Path, changed: Callable[[dict[str, str]], Mapping[str, str]]) -> dict[str, str]:
    """Replace the content of the vault by what `changed` makes of it; returns the new content.

    Concurrent runs wait for each other. A kill leaves either the old or the new file.
    """
    vault = vault_path(inventory)
    with _locked(vault.parent):
        new = dict(changed(load(inventory)))
        label = _label(vault)
        private_files.replace(vault, _encrypt(new, label, _key_path(label)))
        return new


def key_file(inventory: Path) -> Path | None:
    """The file with the key of an inventory's secrets; None when it has none. PlatformError: it is gone."""
    vault = vault_path(inventory)
    return _existing_key(vault) if vault.exists() else None


def opener(inventory: Path) -> Callable[[str], str]:
    """A function that decrypts single encrypted values (`!vault`) with the key of the inventory's secrets.

    It raises ValueError if the key cannot decrypt a value, or there is no key.
    """

    @cache
    def vault() -> VaultLib:
        key = key_file(inventory)
        return VaultLib([(key.name, _secret(key))] if key else [])

    # Each host of a group asks for the group's value, and decrypting takes milliseconds.
    @cache
    def opened(text: str) -> str:
        try:
            return str(vault().decrypt(text).decode())
        except AnsibleError as error:
            raise ValueError(str(error)) from error

    return opened


def discard(inventory: Path) -> None:
    """Remove the vault and its key: only for an inventory that is deleted completely."""
    vault = vault_path(inventory)
    if vault.exists():
        (paths.config_dir() / "keys" / Path(_label(vault)).name).unlink(missing_ok=True)
        vault.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder itself, so that no lock file stays in the inventory."""
    if not folder.is_dir():
        raise PlatformError(
            f"{folder} is not a folder, so this is not an inventory of a site",
            next="platformctl init NAME makes a new inventory",
            code=ExitCode.INVALID,
        )
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _site_name(folder: Path) -> str:
    everyone = read_inventory(folder.parents[1]).groups[ALL]
    for source in reversed([*everyone.inline, *everyone.files]):
        if isinstance(source.values.get("site_name"), str):
            return str(source.values["site_name"])
    raise PlatformError(
        "the inventory has no site_name", where=str(folder), next="set site_name there", code=ExitCode.INVALID
    )


def _key_name(site_name: str, vault: Path) -> str:
    inventory = vault.resolve().parents[2]
    return f"{site_name}-{hashlib.sha256(str(inventory).encode()).hexdigest()[:8]}"


def _key_path(label: str) -> Path:
    named = os.environ.get(KEY_VARIABLE)
    return Path(named).expanduser() if named else paths.config_dir() / "keys" / Path(label).name


def _existing_key(vault: Path) -> Path:
    key = _key_path(_label(vault))
    if not key.exists():
        raise PlatformError(
            f"the key of {vault} is missing",
            where=str(key),
            next=f"copy the key file there, or name it with {KEY_VARIABLE}",
            code=ExitCode.INVALID,
        )
    return key


def _label(vault: Path) -> str:
    try:
        _, _, _, label = parse_vaulttext_envelope(vault.read_bytes())
    except (AnsibleError, ValueError, IndexError) as error:
        raise PlatformError(
            f"{vault} is not an ansible-vault file",
            where=str(vault),
            next="restore it from a copy; a running site does not accept newly made secrets",
            code=ExitCode.INVALID,
        ) from error
    return str(label)


def _make_key(key: Path) -> None:
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.environ.get(KEY_VARIABLE):
        key.parent.chmod(0o700)
    private_files.replace(key, secrets.token_urlsafe(48).encode() + b"\n")


def _secret(key: Path) -> VaultSecret:
    # As Ansible reads it: the text is stripped and not empty; an executable file is run and prints the key.
    try:
        if os.access(key, os.X_OK):
            content = subprocess.run([key], stdout=subprocess.PIPE, check=True).stdout.strip()
        else:
            content = key.read_bytes().strip()
        if not content:
            raise ValueError("it is empty")
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise PlatformError(
            f"the key of the site's secrets cannot be read: {error}",
            where=str(key),
            next="make it a file that you can read, or a program that prints the key",
            code=ExitCode.INVALID,
        ) from error
    return VaultSecret(content)


def _encrypt(values: Mapping[str, str], label: str, key: Path) -> bytes:
    text = yaml.safe_dump(dict(values))
    sealed: bytes = VaultLib().encrypt(text, secret=_secret(key), vault_id=label)
    return sealed
